"""The same trials on a Ray cluster of two nodes: the same ids, the same figures."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tools.cli import main
from tools.sweeps.journal import Trial, read_trials
from tools.sweeps.leaderboard import best_run

from .conftest import HERE, Sweep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT = HERE.parents[2]
SMALL = [
    "data=synthetic",
    "data.size=64",
    "data.image_size=[64,64]",
    "data.good=60",
    "data.defective=30",
    "callbacks.evaluation.resamples=50",
    "trainer=cpu",
    "sweep.report=none",
    "sweep.cpus=1",
]
EQUAL = ["model=patchcore,padim", "threshold=f1,normal", "data.domain=oring", "seed=0,1"]
GRID = ["model.coreset_ratio=0.02,0.1", "model.num_neighbors=1,3", "threshold=f1,normal", "seed=0,1,2"]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A cluster of two nodes with one processor each, in processes of their own."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    utils = pytest.importorskip("ray.cluster_utils")
    nodes = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.add_node(num_cpus=1)
    yield nodes.address
    nodes.shutdown()


def test_without_ray_the_error_names_the_extra(tmp_path: Path) -> None:
    code = "import sys; sys.modules['ray'] = None; from tools.cli import main; sys.exit(main(sys.argv[1:]))"
    args = ["sweep", "sweep.trial=tiny_trial", "seed=0,1", "sweep.address=auto", f"out={tmp_path}"]
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=ROOT,
        env={"PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'loupe-inspect[ray]'" in done.stderr


@pytest.mark.slow
def test_tiny_trials_on_two_nodes_are_those_of_this_machine(cluster: str, tiny: Sweep, tmp_path: Path) -> None:
    grid = ("seed=range(0,12)", "data.batch_size=8,32", "+tiny.act=memory", "+tiny.epochs=3", "failures=ok")
    here = tiny(*grid, "sweep.workers=0")
    tiny(*grid, f"sweep.address={cluster}", "name=ray")
    there = read_trials(tmp_path / "ray")
    assert set(there) == set(here)
    assert {key: about(there[key]) for key in there} == {key: about(here[key]) for key in here}


@pytest.mark.slow
def test_pruning_works_across_nodes(cluster: str, tiny: Sweep) -> None:
    ratios = "0.1,0.11,0.12,0.13,0.14,0.15,0.7,0.8,0.9"
    grid = (f"model.coreset_ratio={ratios}", "+tiny.epochs=6", "sweep.prune=median", "sweep.workers=1")
    states = {
        trial.setting["model.coreset_ratio"]: trial.state for trial in tiny(*grid, f"sweep.address={cluster}").values()
    }
    assert states["0.9"] == "pruned"
    assert states["0.1"] == "complete"


@pytest.mark.slow
def test_24_combinations_are_the_same_on_two_processes_and_on_two_nodes(
    cluster: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    common = ["sweep", *SMALL, *GRID, f"out={tmp_path}", f"data.root={tmp_path / 'drawn'}"]
    assert main([*common, "sweep.workers=2"]) == 0
    assert main([*common, f"sweep.address={cluster}", "name=ray"]) == 0
    here, there = read_trials(tmp_path / "sweep"), read_trials(tmp_path / "ray")
    assert len(here) == 24
    assert set(there) == set(here)
    for key, trial in here.items():
        assert trial.state == "complete", capfd.readouterr().err
        assert there[key].result["metrics"] == trial.result["metrics"]
        assert there[key].objective == trial.objective


@pytest.mark.slow
def test_the_same_trial_is_shipped_however_many_work(
    cluster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Among settings that are equal: thresholds do not change how calibration images rank."""
    common = ["sweep", *SMALL, *EQUAL, f"out={tmp_path}", f"data.root={tmp_path / 'drawn'}"]
    ways = {f"workers{count}": f"sweep.workers={count}" for count in (1, 2, 4)} | {"ray": f"sweep.address={cluster}"}
    for name, way in ways.items():
        assert main([*common, way, f"name={name}"]) == 0
    assert "settings are equal at" in capsys.readouterr().out
    assert len({best_run(tmp_path / name).name for name in ways}) == 1
    found = [read_trials(tmp_path / name) for name in ways]
    assert all(
        {key: trial.objective for key, trial in one.items()}
        == {key: trial.objective for key, trial in found[0].items()}
        for one in found
    )


def about(trial: Trial) -> tuple[str, float | None, int | None, list[tuple[int, float]]]:
    return trial.state, trial.objective, trial.batch_size, trial.values
