"""``loupe predict line=fiber``: from images of end faces to tables, reports, overlays, verdicts and a page."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest

from datamodules.synthetic.drawing import Identity
from datamodules.synthetic.hard_fiber import draw_hard
from datamodules.synthetic.measured_faces import MeasuredFace, Scratch, Speck
from tools.predict import main

if TYPE_CHECKING:
    from pathlib import Path

CLEAN = MeasuredFace(size=(460, 500), um_per_pixel=(0.6, 0.6), shift=(4.3, -6.1))
FACES = {
    "clean": CLEAN,
    "speck in B": replace(CLEAN, planted=(Speck(30.0, 12.0, 8.0),), seed=1),
    "scratch in B": replace(CLEAN, planted=(Scratch(-5.0, -40.0, 0.3, 60.0, 4.5),), seed=2),
    "speck in D": replace(CLEAN, planted=(Speck(-70.0, 60.0, 6.0),), seed=3),
    "cut": replace(CLEAN, shift=(190.0, 0.0), seed=4),
}
STATES = {
    "clean": "accepted",
    "speck in B": "rejected",
    "scratch in B": "rejected",
    "speck in D": "accepted",
    "cut": "unknown",
}
RULES = ["acceptance=iec_61300_3_35_sm_pc", "core_um=9"]


@pytest.fixture(scope="module")
def lot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faces")
    for name, face in FACES.items():
        assert cv2.imwrite(str(root / f"{name}.png"), face.draw())
    flooded = draw_hard("flooded", Identity(0, "fiber", 1, 0), 320).drawing.image
    assert cv2.imwrite(str(root / "flooded.png"), flooded)
    return root


@pytest.fixture(scope="module")
def judged(lot: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "lot"
    assert main(["line=fiber", f"source={lot}", f"out={out}", *RULES]) == 0
    return out


def rows_of(out: Path) -> pd.DataFrame:
    table = pd.read_csv(out / "predictions.csv")
    return table.set_index(table["image_path"].str.extract(r"/([^/]+)\.png")[0])


def test_every_face_has_the_state_that_was_planted_and_wrong_zones_never_pass(judged: Path) -> None:
    rows = rows_of(judged)
    for name, state in STATES.items():
        assert rows.loc[name, "accepted"] == state, rows.loc[name, "reasons"]
    assert rows.loc["flooded", "accepted"] == "unknown"
    assert not rows.loc["flooded", "found"]
    assert "not found for certain" in str(rows.loc["flooded", "reasons"])
    assert "the image shows zone" in str(rows.loc["cut", "reasons"])
    assert "zone B, defects above 5 um" in str(rows.loc["speck in B", "reasons"])
    assert "edition 2015" in str(rows.loc["clean", "reasons"])


def test_zones_and_micrometres_are_those_that_were_drawn(judged: Path) -> None:
    rows = rows_of(judged).loc[["clean", "speck in B", "scratch in B", "speck in D"]]
    x, y = CLEAN.centre
    assert np.allclose(rows["cx"], x, atol=0.3)
    assert np.allclose(rows["cy"], y, atol=0.3)
    assert np.allclose(rows[["um_per_pixel_x", "um_per_pixel_y"]], 0.6, rtol=0.004)
    assert (rows["um_source"] == "image").all()
    assert (rows["core_offset_um"] < 0.4).all()
    assert (rows["ovality"] < 0.01).all()


def test_every_defect_is_listed_with_type_size_and_zone(judged: Path) -> None:
    listed = pd.read_csv(judged / "defects.csv")
    by_image = {name: listed[listed["image_path"].str.endswith(f"{name}.png")] for name in FACES}
    assert by_image["clean"].empty
    (speck,) = by_image["speck in B"].to_dict("records")
    assert speck["type"] in {"pit", "dirt"}
    assert (speck["zone"], speck["zones"]) == ("B", "B")
    assert speck["size_um"] == pytest.approx(8.0, abs=0.8)
    assert speck["size"] == pytest.approx(8.0 / 0.6, abs=1.3)
    assert speck["distance_um"] == pytest.approx(np.hypot(30, 12), abs=0.5)
    assert speck["x"] == pytest.approx(CLEAN.centre[0] + 30 / 0.6, abs=0.5)
    (scratch,) = by_image["scratch in B"].to_dict("records")
    assert scratch["type"] == "scratch"
    assert scratch["width_um"] == pytest.approx(4.5, abs=0.45)
    assert scratch["length_um"] == pytest.approx(60.0, abs=2.0)


def test_every_image_has_a_report_with_a_time_stamp_and_an_overlay(judged: Path) -> None:
    for name, row in rows_of(judged).iterrows():
        report = json.loads((judged / str(row["report"])).read_text())
        assert datetime.fromisoformat(report["time"]).tzinfo is not None
        assert report["accepted"] == row["accepted"]
        assert len(report["zones"]["detectors"]) >= 5
        drawn = cv2.imread(str(judged / str(row["overlay"])))
        assert drawn is not None
        if name in FACES:
            assert drawn.shape == (460, 500, 3)
            assert report["acceptance"]["source"].startswith("IEC 61300-3-35:2015")
    page = (judged / "index.html").read_text()
    assert "6 end faces: 2 accepted, 2 rejected, 2 unknown" in page
    assert "zone B, D not whole in the image" in page
    assert page.count("<svg") >= 4
    summary = json.loads((judged / "summary.json").read_text())
    assert summary["states"] == {"accepted": 2, "rework": 0, "rejected": 2, "unknown": 2}


def test_an_interrupted_lot_goes_on_and_other_keys_are_refused(
    lot: Path, judged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["line=fiber", f"source={lot}", f"out={judged}", *RULES]
    whole = (judged / "predictions.jsonl").read_text()
    kept = whole.splitlines(keepends=True)
    (judged / "predictions.jsonl").write_text("".join(kept[:3]) + kept[3][:50])
    before = (judged / "defects.csv").read_bytes()
    (judged / "defects.csv").unlink()
    assert main(command) == 0
    assert "3 of them had been inspected before" in capsys.readouterr().out
    assert (judged / "defects.csv").read_bytes() == before
    assert main([*command, "scale=kind"]) == 2
    assert "other keys" in capsys.readouterr().err


def test_without_rules_nothing_is_accepted_and_an_unknown_scale_is_none(lot: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    source = lot / "speck in B.png"
    assert main(["line=fiber", f"source={source}", f"out={out}", "page=false", "overlay=none"]) == 0
    row = rows_of(out).iloc[0]
    assert pd.isna(row["accepted"])
    assert row["defects"] == 1
    out = tmp_path / "given"
    assert main(["line=fiber", f"source={source}", f"out={out}", "page=false", "um_per_pixel=1.2", *RULES]) == 0
    row = rows_of(out).iloc[0]
    assert row["um_source"] == "given"
    assert pd.read_csv(out / "defects.csv")["size_um"][0] == pytest.approx(16.0, abs=1.6)


def test_the_median_of_a_kind_is_one_scale_for_all_and_strays_are_taken_back(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    for number in range(6):
        face = replace(CLEAN, um_per_pixel=(0.6 + 0.002 * number,) * 2, seed=10 + number)
        assert cv2.imwrite(str(root / f"{number}.png"), face.draw())
    other = replace(CLEAN, um_per_pixel=(0.9, 0.9), seed=20)  # a circle of two thirds of the others' radius
    assert cv2.imwrite(str(root / "stray.png"), other.draw())
    out = tmp_path / "out"
    assert main(["line=fiber", f"source={root}", f"out={out}", "page=false", "overlay=none", "scale=kind", *RULES]) == 0
    rows = rows_of(out)
    assert (rows["um_source"] == "kind").all()
    assert len(set(rows["um_per_pixel_y"])) == 1
    assert rows["um_per_pixel_y"].iloc[0] == pytest.approx(0.606, abs=0.003)
    assert rows.loc["stray", "accepted"] == "unknown"
    assert "not a cladding" in str(rows.loc["stray", "reasons"])
    assert (rows.drop("stray")["accepted"] == "accepted").all()


def test_what_cannot_be_read_is_unknown_and_the_call_fails(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "a.png").write_bytes(b"no image")
    assert cv2.imwrite(str(source / "b.png"), CLEAN.draw())
    command = ["line=fiber", f"source={source}", "page=false", "overlay=none", *RULES]
    assert main([*command, f"out={out}"]) == 1
    rows = rows_of(out)
    assert rows.loc["a", "accepted"] == "unknown"
    assert isinstance(rows.loc["a", "error"], str)
    assert len(pd.read_csv(out / "errors.csv")) == 1
    assert main([*command, f"out={tmp_path / 'again'}", "errors=ok"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["um_per_pixel=0"], "um_per_pixel to be above 0"),
        (["every=0"], "every to be at least 1"),
        (["core_um=200"], "core_um below cladding_um"),
        (["run=nowhere"], "nowhere"),
        (["scale=best"], "scale"),
        (["acceptance=iec_61300_3_35_sm_pc", "acceptance.edition=2019"], "edition to be one of"),
    ],
)
def test_values_that_mean_nothing_are_refused(
    lot: Path, tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["line=fiber", f"source={lot}", f"out={tmp_path / 'out'}", *words]) == 2
    assert said in capsys.readouterr().err
