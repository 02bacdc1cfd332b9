"""A search runs its budget, or says that its space is exhausted: over odd spaces, killed and resumed in between."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tools.cli import main
from tools.signals import Interrupted
from tools.sweeps.journal import Trial, exhausted, read_records, read_trials

from .conftest import HERE, TINY, Sweep, starts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tools.sweeps.task import Report, Task

BUDGET = 8
SPACES: dict[str, tuple[str, tuple[str, ...], int | None]] = {
    "one finite branch": ("tpe", ("model=patchcore,padim", "model.coreset_ratio=interval(0.01,0.3)"), None),
    "the finite branch is best": ("tpe", ("model=patchcore,padim", "model.coreset_ratio=interval(0.8,0.9)"), None),
    "many finite branches": ("tpe", ("model=padim,dfm,conv_ae,patchcore", "model.coreset_ratio=interval(0.8,1)"), None),
    "finite": ("tpe", ("model.coreset_ratio=0.1,0.2,0.3", "model.num_neighbors=1,3"), 6),
    "finite, at random": ("random", ("model.coreset_ratio=0.1,0.2,0.3", "model.num_neighbors=1,3"), 6),
    "whole numbers": ("tpe", ("model.num_neighbors=int(interval(1,7))",), 7),
    "conditional and finite": ("random", ("model=patchcore,padim,dfm", "model.num_neighbors=1,3,5"), 5),
    "mixed": ("gp", ("model.num_neighbors=1,3", "model.coreset_ratio=tag(log,interval(0.01,1))"), None),
    "finite, by processes": ("gp", ("model.coreset_ratio=0.1,0.2", "model.num_neighbors=1,3"), 4),
    "conditional, quasi-random": ("qmc", ("model=patchcore,padim", "model.coreset_ratio=interval(0.01,0.3)"), None),
    "finite, quasi-random": ("qmc", ("model.coreset_ratio=0.1,0.2,0.3", "threshold=f1,normal"), 6),
    "one point": ("tpe", ("model.coreset_ratio=0.1",), 1),
    "one point of a range": ("random", ("model.coreset_ratio=interval(0.1,0.1)",), 1),
    "a grid": ("grid", ("model=patchcore,padim", "model.coreset_ratio=0.1,0.2,0.3"), 4),
}


@pytest.fixture
def killed_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let a signal strike while so many trials and one more run, once."""
    monkeypatch.syspath_prepend(str(HERE))
    whole = importlib.import_module("tiny_trial").run_trial

    def arm(count: int) -> None:
        left = [count]

        def run_trial(task: Task, report: Report) -> dict[str, object]:
            left[0] -= 1
            if left[0] == -1:
                raise Interrupted(signal.SIGTERM)
            return dict(whole(task, report))

        monkeypatch.setattr(sys.modules["tiny_trial"], "run_trial", run_trial)

    return arm


@pytest.mark.parametrize("name", SPACES)
def test_every_budget_is_used_or_the_space_is_exhausted(
    name: str, killed_after: Callable[[int], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, space, size = SPACES[name]
    whole = min(BUDGET, size or BUDGET)
    folder = tmp_path / "sweep"
    args = ["sweep", TINY, *space, f"sweep.search={kind}", "sweep.workers=0", f"out={tmp_path}", "sweep.trials="]
    killed_after(whole // 2)
    assert main([*args[:-1], f"{args[-1]}{BUDGET}"]) == 143
    assert len(read_trials(folder)) == whole // 2
    for budget in (BUDGET, BUDGET + 2):
        capsys.readouterr()
        assert main(["sweep", "resume", str(folder), f"sweep.trials={budget}"]) == 0
        assert len(read_trials(folder)) == (budget if size is None else size)
        said = capsys.readouterr().out
        assert ("The space is exhausted" in said) == (size is not None)
        assert exhausted(folder) == next((line for line in said.splitlines() if "is exhausted" in line), "")
        assert ("is exhausted" in (folder / "index.html").read_text(encoding="utf-8")) == (size is not None)
    assert sum(starts(folder).values()) == len(read_trials(folder))  # the killed one had not begun
    lines = len(read_records(folder))
    assert main(["sweep", "resume", str(folder)]) == 0
    assert len(read_records(folder)) == lines  # a sweep that is finished is only looked at


@pytest.mark.parametrize("kind", ["tpe", "random", "gp", "qmc"])
def test_a_search_with_repetitions_goes_on_as_if_it_had_not_been_killed(
    kind: str, tiny: Sweep, killed_after: Callable[[int], None], tmp_path: Path
) -> None:
    """Where the best branch is a single point, which samplers suggest again and again."""
    _, space, _ = SPACES["the finite branch is best"]
    keys = (*space, f"sweep.search={kind}", "sweep.trials=8", "sweep.workers=0")
    whole = tiny(*keys)
    assert len(whole) == 8
    killed_after(5)
    tiny(*keys, "name=killed", status=143)
    assert main(["sweep", "resume", str(tmp_path / "killed")]) == 0
    resumed = read_trials(tmp_path / "killed")
    assert list(map(_found, resumed.values())) == list(map(_found, whole.values()))


@pytest.mark.parametrize("workers", [1, 3])
def test_budgets_are_used_side_by_side(workers: int, tiny: Sweep) -> None:
    _, space, _ = SPACES["the finite branch is best"]
    keys = ("sweep.search=tpe", f"sweep.workers={workers}", "sweep.cpus=1", "+tiny.sleep=0.01")
    assert len(tiny(*space, *keys, "sweep.trials=12")) == 12
    assert len(tiny("model.coreset_ratio=0.1,0.2,0.3", *keys, "sweep.trials=9", "name=sweep")) == 15


REAL = (
    *(
        "data=synthetic",
        "data.size=64",
        "data.image_size=[64,64]",
        "data.good=30",
        "data.defective=14",
        "trainer=cpu",
        "sweep.cpus=1",
    ),
    *("callbacks.evaluation.resamples=10", "sweep.workers=2", "sweep.report=none"),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one finite branch", "finite", "conditional, quasi-random"])
def test_real_trials_killed_outright_use_their_budget_too(name: str, tmp_path: Path) -> None:
    kind, space, size = SPACES[name]
    folder = tmp_path / "sweep"
    command = [sys.executable, "-m", "tools", "sweep", *REAL, *space, f"out={tmp_path}"]
    keys = [f"sweep.search={kind}", "sweep.trials=7"]
    with subprocess.Popen([*command, *keys], cwd=HERE.parents[2], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and len(read_trials(folder)) < 3:
            time.sleep(0.05)
        process.kill()
    assert 3 <= len(read_trials(folder)) < 7
    for budget in (7, 8):
        resumed = [sys.executable, "-m", "tools", "sweep", "resume", str(folder), f"sweep.trials={budget}"]
        done = subprocess.run(resumed, cwd=HERE.parents[2], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        trials = read_trials(folder)
        assert len(trials) == min(budget, size or budget)
        assert {trial.state for trial in trials.values()} == {"complete"}
        assert ("The space is exhausted" in done.stdout) == (size is not None)


def _found(trial: Trial) -> tuple[str, float | None, dict[str, str]]:
    return trial.id, trial.objective, trial.setting
