"""``loupe export sweep=``: the best run of a sweep, by the sweep's own objective or any other metric."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tools.cli import main
from tools.errors import ConfigError
from tools.export import find
from tools.sweeps.journal import Journal, Trial

if TYPE_CHECKING:
    from pathlib import Path

FOUND = {"slow": (0.9, 0.7, 30.0), "quick": (0.8, 0.6, 5.0), "right": (0.7, 0.95, 20.0)}


@pytest.fixture
def sweep(run: Path, tmp_path: Path) -> Path:
    """A sweep of three trials, each a copy of the run."""
    with Journal(tmp_path / "sweep") as journal:
        for name, (objective, auroc, speed) in FOUND.items():
            metrics = {"image_auroc": {"value": auroc, "low": None, "high": None}}
            result = {"objective": objective, "metrics": metrics, "milliseconds_per_picture": speed}
            journal.note_end(Trial(name, "complete", {"model": name}, result=result))
            kept = shutil.ignore_patterns("report", "tensorboard", "bundle*")
            shutil.copytree(run, tmp_path / "sweep" / "trials" / name, ignore=kept)
    return tmp_path / "sweep"


@pytest.mark.parametrize(
    ("metric", "best"), [(None, "slow"), ("image_auroc", "right"), ("milliseconds_per_picture", "quick")]
)
def test_the_best_by_any_metric_is_exported(sweep: Path, metric: str | None, best: str) -> None:
    trained = find([f"sweep={sweep}", *([] if metric is None else [f"metric={metric}"]), "pictures=3"])
    assert trained.folder is not None
    assert trained.folder.path.name == best
    assert trained.checkpoint.is_file()
    assert trained.config.pictures == 3


def test_what_cannot_be_found_says_so(sweep: Path, run: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'image_auroc'"):
        find([f"sweep={sweep}", "metric=image_aurco"])
    with pytest.raises(ConfigError, match="leave one out"):
        find([f"sweep={sweep}", f"run={run}"])
    with pytest.raises(ConfigError, match=r"journal\.jsonl, but found none at"):
        find([f"sweep={run}"])


@pytest.mark.slow
def test_a_sweep_that_really_ran(run: Path, tmp_path: Path) -> None:
    pictures = run.parents[2] / "plates"  # that the run was trained on
    options = (
        *("model=patchcore", "model.coreset_ratio=0.01,0.03", "data=folder", f"data.root={pictures}", "trainer=cpu"),
        *("data.image_size=[64,64]", "data.num_workers=0", "data.calibration_from=test", f"out={tmp_path}"),
        *("callbacks.evaluation.resamples=10", "callbacks.evaluation.atlas=0", "name=tried"),
    )
    assert main(["sweep", *options]) == 0
    out = tmp_path / "bundle"
    assert main(["export", f"sweep={tmp_path / 'tried'}", "metric=checkpoint_mib", f"out={out}", "pictures=4"]) == 0
    assert json.loads((out / "spec.json").read_text())["model"]["coreset_ratio"] == 0.01
