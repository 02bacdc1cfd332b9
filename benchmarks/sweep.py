"""Time of a sweep over 20 settings of PatchCore, as a multiple of one run: what sharing features and coresets saves.

python -m benchmarks.sweep [--backbone loupe] [--good 160] [--size 256] [--workers 1] [--alone]
python -m benchmarks.sweep --waiting [--workers 2]

With ``--waiting``: what a sweep costs around its trials, by 8 trials of about a second each, and its resuming when all
is done.

Each command is timed from its start to its end, loading torch included: by the clock, which wants a quiet machine, and
by what its processes took of the processors, which a busy one changes little.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tools.sweeps.journal import read_trials

SETTINGS = ("model.coreset_ratio=0.1,0.05,0.02,0.01", "model.num_neighbors=1,3,5,9,15")


def main() -> None:
    """Print the seconds of one run and of both sweeps, and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="loupe")
    parser.add_argument("--good", type=int, default=160)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--workers", type=int, help="of the sweep; as many as fit by default")
    parser.add_argument("--alone", action="store_true", help="also sweep with nothing shared")
    parser.add_argument("--waiting", action="store_true", help="time 8 small trials, and a resume with nothing to do")
    given = parser.parse_args()
    adopt_orphans()
    if given.waiting:
        waiting(given.workers or 2)
        return
    with tempfile.TemporaryDirectory() as folder:
        common = [
            f"backbone={given.backbone}",
            "data=synthetic",
            f"data.good={given.good}",
            f"data.image_size=[{given.size},{given.size}]",
        ]
        common += [
            f"data.root={folder}/drawn",
            "trainer=cpu",
            *([] if given.backbone == "loupe" else ["backbone.weights=none"]),
        ]
        loupe("train", *common, f"out={folder}/first")  # draws the images, and warms the disk
        run = loupe("train", *common, f"out={folder}/run")
        print(f"one run: {run.clock:.1f} s, {run.processor:.1f} s of processors", flush=True)
        for name, share in (("shared", 10), ("alone", 0)) if given.alone else (("shared", 10),):
            keys = [*SETTINGS, f"sweep.share_gib={share}", f"out={folder}", f"name={name}"]
            keys += [] if given.workers is None else [f"sweep.workers={given.workers}"]
            took = loupe("sweep", *common, *keys)
            trials = [trial for trial in read_trials(Path(folder) / name).values() if trial.state == "complete"]
            print(
                f"{len(trials)} settings, {name}: {took.clock:.1f} s, {took.clock / run.clock:.2f} times one run; "
                f"{took.processor:.1f} s of processors, {took.processor / run.processor:.2f} times",
                flush=True,
            )


def waiting(workers: int) -> None:
    """Print what 8 small trials cost, how much of it the trials themselves, and what a resume costs afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        small = [
            "data=synthetic",
            "data.size=64",
            "data.image_size=[64,64]",
            "data.good=30",
            "data.defective=14",
            "trainer=cpu",
        ]
        keys = [
            "model.num_neighbors=1,3,5,9",
            "model.coreset_ratio=0.1,0.05",
            "sweep.cpus=1",
            f"sweep.workers={workers}",
        ]
        took = loupe("sweep", *small, *keys, "callbacks.evaluation.resamples=20", f"out={folder}")
        trials = read_trials(Path(folder) / "sweep").values()
        seconds = sum(trial.seconds for trial in trials)
        print(
            f"{len(trials)} trials of {seconds / len(trials):.1f} s on {workers} workers: {took.clock:.1f} s, "
            f"{took.processor:.1f} s of processors",
            flush=True,
        )
        again = loupe("sweep", "resume", f"{folder}/sweep")
        print(f"resumed when finished: {again.clock:.2f} s, {again.processor:.2f} s of processors", flush=True)


def adopt_orphans() -> None:
    """Let processes whose parents end become this one's, so that their times count: workers are a server's children."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _bury_orphans() -> None:
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


class Took(NamedTuple):
    """Seconds of a command: by the clock, and of processors, all of its processes together."""

    clock: float
    processor: float


def loupe(*args: str) -> Took:
    """Run a command, and time it."""
    started, before = time.perf_counter(), _processor_seconds()
    subprocess.run([sys.executable, "-m", "tools", *args], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
    clock = time.perf_counter() - started
    _bury_orphans()
    return Took(clock, _processor_seconds() - before)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
