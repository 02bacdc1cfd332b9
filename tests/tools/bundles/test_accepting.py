"""Rules of acceptance hold in tests, predictions and bundles alike, and travel with each of them."""

from __future__ import annotations

import csv
import json
import shutil
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
import pytest

from callbacks.acceptance.judgement import Acceptance
from callbacks.defects.measured import DefectRules
from tests.tools.bundles.test_predicting import by_brightness, grey, rows_of, thresholds, write_pictures
from tools.cli import main
from tools.runner.bundle import Bundle
from tools.runner.decision import Decision
from tools.runner.judge import Judge
from tools.runner.measuring import Measuring
from tools.runner.predicting import predict
from tools.runner.specification import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from datamodules.files.images import Array

LARGE = {"large": {"defects": {"area": {"min": 100}}, "at_most": 0}}


def make_judge(rules: Mapping[str, Any] = LARGE, **changes: Any) -> Judge:
    """A judge of bright images by rules; images are 16 x 16 to it."""
    decision = Decision(thresholds(image=0.9))
    return Judge(
        by_brightness,
        decision,
        (16, 16),
        None,
        {"judge": "brightness"},
        Measuring(DefectRules(), um_per_pixel=changes.pop("um_per_pixel", None)),
        acceptance=Acceptance(rules, name="ours", edition="2"),
        **changes,
    )


def spot(side: int) -> Array:
    """An image of 16 x 16 pixels with a bright square."""
    values = grey(16, 16, 10)
    values[2 : 2 + side, 3 : 3 + side] = 250
    return values


def test_a_judge_says_what_is_accepted() -> None:
    """The verdict of the model and that of the rules are two things."""
    judge = make_judge()
    small, large = judge(spot(9)), judge(spot(10))
    assert (small.verdict, small.accepted, small.reasons) == ("good", "accepted", "ours, edition 2: 1 rule holds")
    assert (large.verdict, large.accepted) == ("good", "rejected")
    assert "defect 1 (area 100)" in large.reasons
    row = large.row()
    assert row["acceptance"] == {
        "state": "rejected",
        "reasons": [large.reasons.removeprefix("ours, edition 2: ")],
        "rules": ["large"],
        "name": "ours",
        "edition": "2",
    }


def test_lengths_need_the_scale_and_zones_need_zones() -> None:
    """What is not known of an image is unknown to its rules, whether or not anything was found."""
    wide = {"wide": {"defects": {"width_um": {"above": 4}}, "at_most": 0}}
    assert make_judge(wide)(spot(0)).accepted == "unknown"
    assert make_judge(wide, um_per_pixel=0.5)(spot(8)).accepted == "accepted"
    assert make_judge(wide, um_per_pixel=0.5)(spot(9)).accepted == "rejected"
    zoned = {"core": {"defects": {"zones": [2], "area": {"above": 30}}, "at_most": 0}}
    zones = np.ones((16, 16), np.uint8)
    zones[:, 6:] = 2  # of a square of 8 pixels from column 3 on, 5 columns lie in zone 2
    assert make_judge(zoned)(spot(8)).accepted == "unknown"
    assert make_judge(zoned)(spot(8), zones=zones).accepted == "rejected"
    zones[:, 6:8] = 1
    assert make_judge(zoned)(spot(8), zones=zones).accepted == "accepted"


def test_measures_of_the_part_are_facts() -> None:
    """Whoever can measure the part on an image hands the rules its measures."""
    rules = {"brightness": {"max": 50, "otherwise": "rework"}}
    assert make_judge(rules)(spot(3)).accepted == "unknown"
    judge = make_judge(rules, measure_part=lambda values: {"brightness": float(values.mean())})
    assert [judge(spot(side)).accepted for side in (3, 15)] == ["accepted", "rework"]


def test_rows_hold_states_and_a_broken_image_is_unknown(tmp_path: Path) -> None:
    """The tables say it all, and a second call adds up what the first one wrote."""
    source = write_pictures(tmp_path / "in", 8, broken_every=4)
    cv2.imwrite(str(source / "a.png"), spot(12))
    for _ in range(2):
        summary = predict(make_judge(), [str(source)], tmp_path / "out")
        assert summary.states == {"accepted": 4, "rejected": 3, "unknown": 2}
        assert "By the rules: 4 accepted, 3 rejected, 2 unknown." in str(summary)
    with (tmp_path / "out" / "predictions.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    for row, record in zip(table, rows_of(tmp_path / "out"), strict=True):
        assert row["accepted"] == record["accepted"]
        assert row["reasons"] == record["reasons"]
        assert (row["error"] != "") == (row["accepted"] == "unknown")
    with pytest.raises(BundleError, match=r"differ in acceptance; choose another folder"):
        predict(make_judge({"model": {"verdict": "good"}}), [str(source)], tmp_path / "out")


def test_a_test_and_a_prediction_agree(run: Path, tmp_path: Path) -> None:
    """The same images, defects and rules give the same states and reasons."""
    rules = ["acceptance=no_large_defect", "acceptance.rules.large_defect.defects.area.min=60"]
    assert main(["test", f"run={run}", *rules, f"out={tmp_path / 'test'}", "report=false"]) == 0
    tested = pd.read_csv(tmp_path / "test" / "predictions.csv", keep_default_na=False).set_index("image_path")
    sources = ",".join(tested.index)
    assert main(["predict", f"run={run}", *rules, f"source=[{sources}]", f"out={tmp_path / 'predict'}"]) == 0
    predicted = pd.read_csv(tmp_path / "predict" / "predictions.csv", keep_default_na=False).set_index("image_path")
    assert len(set(tested["accepted"])) == 2
    for column in ("accepted", "reasons", "verdict"):
        assert tested[column].to_dict() == predicted[column].to_dict()
    found = json.loads((tmp_path / "test" / "metrics.json").read_text())["acceptance"]
    assert found["accepted"] == (tested["accepted"] == "accepted").sum()
    assert found["by_rule"] == [{"rule": "large_defect", "state": "rejected", "images": found["rejected"]}]
    plain = pd.read_csv(run / "predictions.csv", keep_default_na=False)
    assert set(plain["accepted"]) == set(plain["reasons"]) == {""}  # of a run without rules


def test_rules_can_be_edited_in_a_bundle(bundle: Path, run: Path) -> None:
    """A slip of the edit is refused, in a sentence."""
    path = pd.read_csv(run / "predictions.csv")["image_path"].iloc[-1]
    spec = json.loads((bundle / "spec.json").read_text())
    assert spec["acceptance"] is None
    assert Bundle(bundle)(path).accepted == ""
    spec["acceptance"] = {"rules": LARGE}
    (bundle / "spec.json").write_text(json.dumps(spec))
    assert Bundle(bundle)(path).accepted in {"accepted", "rejected"}
    spec["acceptance"] = {"rules": {"large": {"defects": {"aera": {"min": 1}}, "at_most": 0}}}
    (bundle / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(BundleError, match=r"did you mean 'area'\?"):
        Bundle(bundle)


@pytest.mark.slow
def test_a_bundle_brings_the_rules_of_its_run(run: Path, tmp_path: Path) -> None:
    """Exported with rules, it says the same as the run by them; without torch, by the files that it ships."""
    rules = ["acceptance=no_large_defect", "acceptance.rules.large_defect.defects.area.min=60"]
    folder = tmp_path / "bundle"
    assert main(["export", f"run={run}", *rules, "pictures=4", "samples=2", f"out={folder}"]) == 0
    source = tmp_path / "in"
    source.mkdir()
    for path in pd.read_csv(run / "predictions.csv")["image_path"]:
        shutil.copy(path, source)
    assert main(["predict", f"run={run}", *rules, f"source={source}", f"out={tmp_path / 'one'}"]) == 0
    assert main(["predict", f"bundle={folder}", f"source={source}", f"out={tmp_path / 'other'}"]) == 0
    one, other = (pd.read_csv(tmp_path / name / "predictions.csv") for name in ("one", "other"))
    assert one["accepted"].tolist() == other["accepted"].tolist()
    assert one["reasons"].tolist() == other["reasons"].tolist()
    assert set(one["accepted"]) == {"accepted", "rejected"}
