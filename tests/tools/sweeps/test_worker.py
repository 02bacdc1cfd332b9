"""A worker outlives its planner by as little as it can, and in silence."""

from __future__ import annotations

import multiprocessing

import pytest

from tools.sweeps.asking import Question
from tools.sweeps.worker import work

SLEEP = Question("time", "sleep", (0.5,))
NOTHING = Question("time", "sleep", (0.0,))


@pytest.mark.parametrize("asked", [[], [SLEEP], [NOTHING, SLEEP]], ids=len)
def test_a_worker_whose_planner_is_gone_ends_without_a_word(
    asked: list[Question], capfd: pytest.CaptureFixture[str]
) -> None:
    """The planner may hang up while an answer is on its way."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    worker = context.Process(target=work, args=(theirs, {}, False, "json"))
    worker.start()
    theirs.close()
    for one in asked:
        ours.send(one)
    ours.close()
    worker.join(60)
    assert worker.exitcode == 0
    assert capfd.readouterr().err == ""
