"""``data.zones=find`` in training, prediction and bundles alike: thresholds by zone hold for images nobody listed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest

from callbacks.decisions.calibration import calibration_of
from datamodules.files.fitting import place
from datamodules.synthetic.measured_faces import MeasuredFace, Speck
from tools.cli import main
from tools.runner.zoning import Zoning
from tools.runs.checkpoint import read_checkpoint, restore
from tools.runs.predicting import judge_of
from tools.runs.reading import reading_of
from tools.runs.run_folder import RunFolder
from tools.runs.trained import find_trained

if TYPE_CHECKING:
    from pathlib import Path


def face(seed: int, *planted: Speck) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    shift = (float(seed % 7 - 3), float(seed % 5 - 2))
    size, um = (200, 220), (1.2, 1.2)
    return MeasuredFace(size, um, core_um=50.0, blur=1.2, shift=shift, planted=planted, seed=seed).draw()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that finds zones, with a threshold for each of them."""
    root = tmp_path_factory.mktemp("faces")
    lines = ["image,label,group"]
    for number in range(36):
        marks = (Speck(20.0, -70.0, 16.0),) if number % 6 == 0 else ()
        assert cv2.imwrite(str(root / f"{number:02}.png"), face(number, *marks))
        lines.append(f"{number:02}.png,{'defective' if marks else 'good'},g{number}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path_factory.mktemp("runs_of_faces")
    words = [f"data.root={root}", "data.zones=find", "data.core_um=50", "data.image_size=[64,64]", f"out={out}"]
    model = [
        "data=fiber",
        "model.coreset_ratio=0.02",
        "threshold.scopes=[zone]",
        "threshold.min_images=2",
        "trainer=cpu",
    ]
    more = ["data.num_workers=0", "callbacks.evaluation.resamples=10", "report=false", "id=one"]
    assert main(["train", *words, *model, *more]) == 0
    return out / "fiber-patchcore" / "one"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images that nobody listed, one with something large on the ferrule."""
    folder = tmp_path_factory.mktemp("new")
    assert cv2.imwrite(str(folder / "a.png"), face(90, Speck(-30.0, 85.0, 26.0, 90.0)))
    assert cv2.imwrite(str(folder / "b.png"), face(91))
    return folder


def test_a_checkpoint_keeps_what_a_pixel_measures(run: Path) -> None:
    calibration = calibration_of(restore(read_checkpoint(RunFolder.open(run).best_checkpoint)))
    assert calibration.scales == {" 200x220": pytest.approx(1.2, rel=0.01)}
    assert set(calibration.summary()["pixel"]["zone"]) == {"1", "2", "3"}


def test_a_run_and_its_bundle_find_zones_and_micrometres_on_images_that_nobody_listed(
    run: Path, source: Path, tmp_path: Path
) -> None:
    by_run, by_bundle = tmp_path / "run", tmp_path / "bundle"
    assert main(["predict", f"run={run}", f"source={source}", f"out={by_run}"]) == 0
    assert main(["export", f"run={run}", "pictures=4", "samples=2"]) == 0
    assert main(["predict", f"bundle={run / 'bundle'}", f"source={source}", f"out={by_bundle}"]) == 0
    found, again = (pd.read_csv(out / "defects.csv") for out in (by_run, by_bundle))
    worst = found.sort_values("peak").iloc[-1]
    assert worst["zone"] == 3
    assert worst["um_per_pixel"] == pytest.approx(1.2, rel=0.02)
    assert worst["length_um"] == pytest.approx(worst["length"] * worst["um_per_pixel"], rel=1e-3)
    assert found["zone"].tolist() == again["zone"].tolist()
    assert found["um_per_pixel"].tolist() == again["um_per_pixel"].tolist()
    spec = json.loads((run / "bundle" / "spec.json").read_text())
    assert spec["zoning"] == {"core_um": 50, "cladding_um": None, "scales": {" 200x220": pytest.approx(1.2, rel=0.01)}}


def test_a_run_or_its_bundle_marks_in_place_of_the_untrained_detector(run: Path, source: Path, tmp_path: Path) -> None:
    if not (run / "bundle").is_dir():
        assert main(["export", f"run={run}", "pictures=4", "samples=2"]) == 0
    command = ["predict", "line=fiber", f"source={source}", "core_um=50", "page=false"]
    tables = {}
    for name, model in (("run", run), ("bundle", run / "bundle")):
        out = tmp_path / name
        assert main([*command, f"run={model}", f"out={out}"]) == 0
        tables[name] = pd.read_csv(out / "predictions.csv"), pd.read_csv(out / "defects.csv")
    images, defects = tables["run"]
    assert images["verdict"].isin(["good", "defective"]).all()
    assert images["threshold"].notna().all()
    largest = defects[defects["image_path"].str.endswith("a.png")].sort_values("area").iloc[-1]
    assert largest["distance_um"] == pytest.approx(np.hypot(30, 85), abs=4)
    assert largest["size_um"] == pytest.approx(26.0, rel=0.15)
    again, listed = tables["bundle"]
    assert again["verdict"].tolist() == images["verdict"].tolist()
    assert listed["size_um"].tolist() == pytest.approx(defects["size_um"].tolist(), rel=1e-3)


def test_rules_in_micrometres_judge_a_run_its_bundle_and_the_line_alike(
    run: Path, source: Path, tmp_path: Path
) -> None:
    """A map of 64 pixels feeds no limit of 5 um: sizes, zones and types are those of the file, as in the line."""
    rules = "acceptance=iec_61300_3_35_multifiber"
    bundle = tmp_path / "own"
    assert main(["export", f"run={run}", "pictures=4", "samples=2", rules, f"out={bundle}"]) == 0
    calls = {
        "run": [f"run={run}", rules],
        "bundle": [f"bundle={bundle}"],
        "line": ["line=fiber", f"run={run}", rules, "core_um=50", "page=false"],
    }
    states, sizes = {}, {}
    for name, words in calls.items():
        out = tmp_path / name
        assert main(["predict", *words, f"source={source}", f"out={out}"]) == 0
        rows = pd.read_csv(out / "predictions.csv")
        states[name] = dict(zip(rows["image_path"], rows[["accepted", "reasons"]].to_numpy().tolist(), strict=True))
        listed = pd.read_csv(out / "defects.csv")
        sizes[name] = listed[["size_um", "width_um", "x", "y"]].to_numpy(), listed["defect"].tolist()
    assert states["run"] == states["bundle"] == states["line"]
    assert all(state in {"accepted", "rejected"} for state, _ in states["run"].values())
    for name in ("run", "bundle"):
        assert sizes[name][0] == pytest.approx(sizes["line"][0], abs=1e-2)
        assert sizes[name][1] == sizes["line"][1]
    tested = tmp_path / "tested"
    assert main(["test", f"run={run}", rules, f"out={tested}"]) == 0
    judged = pd.read_csv(tested / "predictions.csv")
    assert judged["accepted"].isin(["accepted", "rejected"]).all()
    measured = pd.read_csv(tested / "measured_defects.csv")
    assert set(measured["name"]) <= set(judged["name"])
    assert measured["size_um"].notna().all()


def test_thresholds_by_zone_decide_where_zones_were_found(run: Path, source: Path) -> None:
    trained = find_trained("predict", [f"run={run}"], changeable=("data",))
    judge = judge_of(trained, reading_of(trained.config.data))
    with_zones = judge(source / "a.png")
    assert with_zones.zones_HW is not None
    assert set(np.unique(with_zones.zones_HW)) == {1, 2, 3}
    lines = {zone: judge.decision.pixel[f"zone {zone}"] for zone in (1, 2, 3)}
    for zone, line in lines.items():
        here = with_zones.zones_HW == zone
        assert with_zones.mask is not None
        assert with_zones.anomaly_map is not None
        assert np.array_equal(with_zones.mask[here], with_zones.anomaly_map[here] >= line)
    judge.zoning = None
    assert judge(source / "a.png").zones_HW is None


def test_a_kept_scale_stands_in_where_no_cladding_is_found() -> None:
    zoning = Zoning(scales={"a 200x220": 1.19})
    nothing = np.full((200, 220), 120, np.uint8)
    nothing[50:60, 70:80] = 130
    zoned = zoning(nothing, "a")
    assert (zoned.fitted(place((200, 220), (96, 96))), zoned.um_per_pixel, zoned.source) == (None, 1.19, "kind")
    assert zoning(nothing, "b").um_per_pixel is None
    found = Zoning(core_um={"a": 50.0})(face(3), "a")
    drawn = found.fitted(place((200, 220), (100, 110)))
    assert drawn is not None
    assert set(np.unique(drawn)) == {1, 2, 3}
    assert found.source == "image"
