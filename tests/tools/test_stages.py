"""A hybrid through the door: what it leaves, and what the report says of its stages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from models.components.screening import PASSED
from models.components.stages import stage_counts
from tools.cli import main

if TYPE_CHECKING:
    from pathlib import Path

SMALL = [
    *("data.domain=oring", "data.size=64", "data.image_size=[64,64]", "data.num_workers=1", "data.batch_size=8"),
    *("data.good=32", "data.defective=24", "trainer=cpu", "trainer.max_epochs=1", "model.pass_share=0.5"),
    "model.screening_recall=0.5",
    *("model.inspection.channels=16", "model.inspection.limit=5", "callbacks.evaluation.resamples=50"),
    "callbacks.evaluation.examples=2",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    assert main(["train", "model=hybrid", *SMALL, f"out={out}"]) == 0
    (config,) = out.glob("*/*/config.yaml")
    return config.parent


def test_every_stage_is_accounted_for(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    calibration = json.loads((run / "calibration.json").read_text())
    predictions = pd.read_csv(run / "predictions.csv")
    good, defective = metrics["stages"]["good"], metrics["stages"]["defective"]
    assert good["passed"] + good["inspected"] == (predictions["label_index"] == 0).sum()
    assert defective["passed"] + defective["inspected"] == (predictions["label_index"] == 1).sum()
    assert good["passed"] + defective["passed"] == (predictions["score"] == PASSED).sum() > 0
    screening = calibration["screening"]
    assert "defective ones" in screening["promise"]
    assert screening["n_good"] == calibration["pictures"]["good"]
    costs = json.loads((run / "environment.json").read_text())["milliseconds_by_stage"]
    assert costs["screening"] > 0
    assert costs["inspection"] > 0
    assert f"passed {good['passed'] + defective['passed']} of {len(predictions)}" in (
        run / "report" / "index.html"
    ).read_text(encoding="utf-8")


def test_instances_are_judged(run: Path) -> None:
    instances = json.loads((run / "metrics.json").read_text())["instances"]
    assert set(instances) == {"box", "mask"}
    for entries in instances.values():
        for name in ("ap", "ap50", "ap75"):
            assert 0 <= entries[name]["low"] <= entries[name]["value"] <= entries[name]["high"] <= 1
        assert set(entries) >= {"ap_small", "ap_medium", "ap_large", "ar"}


@pytest.mark.slow
def test_a_test_finds_the_same(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", f"run={run}"]) == 0
    assert "Same metrics as the run" in capsys.readouterr().out


def test_efficient_ad_screens_tiles_and_learns_beside_the_inspection(tmp_path: Path) -> None:
    tiles = ["tiling=hann", "tiling.size=32", "tiling.crops=2", "data.num_workers=0"]
    screening = ["model@model.screening=efficient_ad", "model.screening.penalty_pictures=4"]
    keys = [key for key in SMALL if not key.startswith("trainer.max_epochs")]
    command = ["train", "model=hybrid", *keys, *tiles, *screening, f"out={tmp_path}", "trainer.max_epochs=2"]
    assert main(command) == 0
    (config,) = tmp_path.glob("*/*/config.yaml")
    run = config.parent
    history = pd.read_csv(run / "history.csv")
    assert history["train/screening_student"].notna().tolist() == [True, True]
    assert history["train/screening_agreement"][1] < history["train/screening_agreement"][0]
    metrics = json.loads((run / "metrics.json").read_text())
    screened, tested = metrics["screened"], len(pd.read_csv(run / "predictions.csv"))
    assert screened["number"] == 25 * tested, "five tiles a side"
    assert screened["passed"] <= screened["number"]
    assert screened["marked_passed"] <= screened["marked"] <= screened["number"]
    assert screened["defects_unseen"] <= screened["defects"] > 0
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert f"{screened['passed']} of {screened['number']} tiles were passed" in page
    assert f"{screened['defects_unseen']} lie on passed tiles alone" in page


def test_counts_follow_from_predictions() -> None:
    predictions = pd.DataFrame(
        [
            (0, PASSED, "good"),
            (0, 0.0, "good"),
            (0, 0.7, "defective"),
            (1, PASSED, "good"),
            (1, 0.9, "defective"),
            (-1, PASSED, "good"),
        ],
        columns=["label_index", "score", "verdict"],
    )
    assert stage_counts(predictions) == {
        "good": {"passed": 1, "inspected": 2, "called_defective": 1},
        "defective": {"passed": 1, "inspected": 1, "called_defective": 1},
        "unknown": {"passed": 1, "inspected": 0, "called_defective": 0},
    }
