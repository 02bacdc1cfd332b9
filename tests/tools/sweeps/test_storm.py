"""Killed at random moments, again and again: nothing is lost, nothing is done twice but what was running."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tools.sweeps.journal import read_records, read_trials

from .conftest import HERE, TINY, starts

if TYPE_CHECKING:
    from pathlib import Path

ROOT = HERE.parents[2]
WORKERS = 2


def command(out: Path, trials: int) -> list[str]:
    grid = [f"seed=range(0,{trials})", "+tiny.sleep=0.03", f"sweep.workers={WORKERS}", "sweep.cpus=1"]
    return [sys.executable, "-m", "tools", "sweep", TINY, f"out={out}", *grid]


def storm(out: Path, trials: int, kills: int) -> None:
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    folder, rng = out / "sweep", random.Random(0)  # noqa: S311
    known: set[str] = set()
    for _ in range(kills):
        done_before = len(known)
        with subprocess.Popen(
            command(out, trials),
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            until = done_before + rng.randint(1, max(1, trials // kills))
            while process.poll() is None and len(read_trials(folder)) < until:
                time.sleep(0.01)  # the journal is read at every moment
            time.sleep(rng.uniform(0, 0.06))
            process.send_signal(signal.SIGKILL)
        now = set(read_trials(folder))
        assert known <= now  # nothing is lost
        known = now
    last = subprocess.run(command(out, trials), cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stderr
    ends = [record["id"] for record in read_records(folder) if record["event"] == "end"]
    assert len(ends) == len(set(ends)) == trials  # none is missing, none was noted twice
    again = sum(starts(folder).values()) - trials
    assert again <= kills * WORKERS
    assert max(starts(folder).values()) <= kills + 1


def test_a_small_storm(tmp_path: Path) -> None:
    storm(tmp_path, trials=12, kills=2)


@pytest.mark.slow
def test_a_storm(tmp_path: Path) -> None:
    storm(tmp_path, trials=200, kills=20)
