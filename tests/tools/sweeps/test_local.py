"""Executors of this machine: threads and GPUs divided, nobody idle, little overhead, no orphans."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from omegaconf import OmegaConf

from tools.sweeps.executors import visible_gpus
from tools.sweeps.local import worker_environments
from tools.sweeps.plan import worker_count

if TYPE_CHECKING:
    from .conftest import Sweep


@pytest.mark.parametrize(
    ("workers", "gpus", "visible", "expected"),
    [
        (2, 1, [], [None, None]),
        (2, 1, ["0", "1"], ["0", "1"]),
        (4, 0.5, ["0", "1"], ["0", "0", "1", "1"]),
        (3, 1 / 3, ["5"], ["5", "5", "5"]),
        (2, 2, ["0", "1", "2", "3"], ["0,1", "2,3"]),
        (3, 1, ["0", "1"], ["0", "1", "0"]),
        (2, 0, ["0", "1"], [None, None]),
    ],
)
def test_gpus_are_divided(workers: int, gpus: float, visible: list[str], expected: list[str | None]) -> None:
    environments = worker_environments(workers, 3, gpus, visible)
    assert [environment.get("CUDA_VISIBLE_DEVICES") for environment in environments] == expected
    assert {environment["OMP_NUM_THREADS"] for environment in environments} == {"3"}


@pytest.mark.parametrize(
    ("keys", "gpus", "expected"),
    [
        ({"workers": 2, "cpus": 5}, 0, (2, 5)),
        ({"workers": 0, "cpus": 3}, 0, (0, 3)),
        ({"workers": None, "cpus": 1, "gpus": 0.5}, 1, (2, 1)),
        ({"workers": None, "cpus": 10_000}, 0, (1, 10_000)),
    ],
)
def test_places_are_counted(keys: dict[str, object], gpus: int, expected: tuple[int, int]) -> None:
    settings = OmegaConf.create({"workers": None, "cpus": None, "gpus": 1} | keys)
    if gpus and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two processors")
    assert worker_count(settings, gpus) == expected


def test_hidden_gpus_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-8f")
    assert visible_gpus() == ["2", "GPU-8f"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []


@pytest.mark.slow  # measures time, so it wants a quiet machine
def test_two_workers_are_never_idle_while_there_is_work(tiny: Sweep) -> None:
    """Trial lengths spread tenfold; counted from the first start until the last trial was handed out."""
    rng = random.Random(0)  # noqa: S311
    lengths = [rng.uniform(0.15, 1.5) for _ in range(14)]
    listed = ",".join(f"{length:.3f}" for length in lengths)
    trials = list(tiny(f"+tiny.sleep={listed}", "sweep.workers=2", "sweep.cpus=1").values())
    assert len(trials) == 14
    spans = [(trial.result["began"], trial.result["ended"], trial.result["process"]) for trial in trials]
    begin, end = sorted(span[0] for span in spans)[1], max(span[0] for span in spans)
    busy = sum(max(0.0, min(ended, end) - max(began, begin)) for began, ended, _ in spans)
    assert busy / (2 * (end - begin)) >= 0.97


def test_no_trial_waits_for_a_longer_one(tiny: Sweep) -> None:
    lengths = ",".join(["2", *(f"{0.01 + index / 1000:.3f}" for index in range(12))])
    trials = tiny(f"+tiny.sleep={lengths}", "sweep.workers=2", "sweep.cpus=1").values()
    long = next(trial for trial in trials if trial.setting["tiny.sleep"] == "2")
    beside = [trial for trial in trials if long.result["began"] < trial.result["ended"] < long.result["ended"]]
    assert len(beside) >= 3


def test_an_empty_trial_costs_little(tiny: Sweep) -> None:
    """What the planner costs, in seconds of its processor, so that a busy machine makes no difference."""
    began = time.process_time()
    trials = tiny("seed=range(0,60)", "sweep.workers=1", "sweep.cpus=1")
    assert len(trials) == 60
    assert (time.process_time() - began) / 60 <= 0.1


def test_no_worker_outlives_a_sweep(tiny: Sweep, tmp_path: Path) -> None:
    trials = tiny("seed=0,1,2", "sweep.workers=2")
    deadline = time.monotonic() + 10
    processes = {trial.result["process"] for trial in trials.values()}
    while any(Path(f"/proc/{process}").exists() for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{process}").exists() for process in processes)
    assert not list((tmp_path / "sweep").glob(".*"))
