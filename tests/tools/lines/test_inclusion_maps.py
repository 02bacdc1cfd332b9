"""``loupe predict line=inclusion_maps``: from binary maps to tables, ranks and pages."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from callbacks.inclusions.order_keys import FINAL, KEYS
from tools.predict import main

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "metallography"
COLUMNS = ["map", "x", "y", "area", "spatial", "shape", "combined", "area_id"]


def draw(path: Path, seed: int, count: int = 80) -> None:
    rng = np.random.default_rng(seed)
    map_HW = np.full((300, 400), 255, np.uint8)
    for _ in range(count):
        place = int(rng.integers(10, 390)), int(rng.integers(10, 290))
        half = int(rng.integers(2, 6)), int(rng.integers(1, 4))
        cv2.ellipse(map_HW, place, half, float(rng.integers(180)), 0, 360, 0, -1)
    cv2.line(map_HW, (60, 60), (110, 90), 0, 6)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), map_HW)


def test_maps_are_measured_to_tables_and_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(3):
        draw(tmp_path / "maps" / f"scan {seed}.png", seed)
    draw(tmp_path / "maps" / "few.png", 9, count=4)
    out = tmp_path / "out"
    command = ["line=inclusion_maps", f"source={tmp_path / 'maps'}", f"out={out}", "um_per_pixel=0.5"]
    assert main(command) == 0
    objects, areas = pd.read_csv(out / "objects.csv"), pd.read_csv(out / "areas.csv")
    assert list(objects.columns) == COLUMNS
    assert set(objects["map"]) == {"few", "scan 0", "scan 1", "scan 2"}
    assert objects[["spatial", "shape", "combined"]].min().min() >= 0
    assert objects.groupby("map")["combined"].max().tolist() == [1.0] * 4
    assert areas["area_id"].tolist() == list(range(1, len(areas) + 1))
    assert areas[FINAL].is_monotonic_decreasing
    assert list(areas.columns[-len(KEYS) :]) == list(KEYS)
    counted = objects.groupby("area_id").size()
    assert counted.loc[areas["area_id"]].tolist() == areas["amount"].tolist()
    large = objects[(objects["map"] == "scan 0") & (objects["area"] > 200)]
    assert (large["combined"] > 0.5).any()
    summary = json.loads((out / "summary.json").read_text())
    assert summary["maps"]["scan 0"]["sizes"]["um_per_pixel"] == 0.5
    assert summary["maps"]["scan 0"]["e45_like"] is None  # smaller than a field
    page = (out / "index.html").read_text()
    assert "maps/scan%200.html#area-" in page
    one = (out / "maps" / "scan 0.html").read_text()
    assert one.count("<polygon") == (areas["map"] == "scan 0").sum()
    assert all("http" not in text.replace("http-equiv", "") for text in (page, one))
    assert "areas" in capsys.readouterr().out


def test_pages_show_the_rating_or_say_why_there_is_none(tmp_path: Path) -> None:
    draw(tmp_path / "maps" / "large.png", 1)
    assert cv2.imwrite(str(tmp_path / "maps" / "small.png"), np.full((90, 400), 255, np.uint8))
    command = ["line=inclusion_maps", f"source={tmp_path / 'maps'}"]
    assert main([*command, f"out={tmp_path / 'scaled'}", "um_per_pixel=2.4"]) == 0  # a field has 295 pixels
    rating = json.loads((tmp_path / "scaled" / "summary.json").read_text())["maps"]["large"]["e45_like"]
    assert rating["fields"] == 1
    assert rating["elongated_heavy"] > 0
    page, large, small = (
        (tmp_path / "scaled" / name).read_text() for name in ("index.html", "maps/large.html", "maps/small.html")
    )
    assert "the one field of 0.50 mm2" in large
    assert f"({rating['worst']['elongated_heavy']:.0f} um)</td>" in large
    assert "as large as one field" in small
    assert all("no rating by these standards" in text for text in (page, large))
    assert "A thin" in page
    assert main([*command, f"out={tmp_path / 'bare'}"]) == 0
    bare = (tmp_path / "bare" / "index.html").read_text()
    assert "no scale is known" in bare
    assert "A thin" not in bare


def test_source_mode_and_white_on_black(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 1)
    values = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_GRAYSCALE)
    assert values is not None
    (tmp_path / "white").mkdir()
    assert cv2.imwrite(str(tmp_path / "white" / "a.png"), 255 - values)
    tables: list[pd.DataFrame] = []
    for folder, words in (("a.png", []), ("white", []), ("a.png", ["mode=source"])):
        out = tmp_path / f"out{len(tables)}"
        assert main(["line=inclusion_maps", f"source={tmp_path / folder}", f"out={out}", "page=false", *words]) == 0
        tables.append(pd.read_csv(out / "objects.csv"))
        assert not (out / "index.html").exists()
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert tables[2]["spatial"].equals(tables[0]["spatial"])
    assert (tables[2]["shape"] < tables[0]["shape"]).all()


def test_what_is_no_map_is_named_and_the_rest_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(tmp_path / "maps" / "a.png", 1)
    draw(tmp_path / "maps" / "deeper" / "a.png", 2)
    (tmp_path / "maps" / "broken.png").write_bytes(b"nothing")
    assert cv2.imwrite(str(tmp_path / "maps" / "deep.tif"), np.zeros((50, 50), np.float32))
    assert cv2.imwrite(str(tmp_path / "maps" / "empty.png"), np.full((50, 50), 255, np.uint8))
    command = ["line=inclusion_maps", f"source={tmp_path / 'maps'}", f"out={tmp_path / 'out'}"]
    assert main(command) == 1
    assert "2 files could not be" in capsys.readouterr().err
    errors = pd.read_csv(tmp_path / "out" / "errors.csv")
    assert sorted(Path(path).name for path in errors["path"]) == ["broken.png", "deep.tif"]
    assert set(pd.read_csv(tmp_path / "out" / "objects.csv")["map"]) == {"maps/a.png", "deeper/a.png"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["source=x", "threshold=300"], "threshold to be 0 to 254"),
        (["source=x", "um_per_pixel=0"], "um_per_pixel to be above 0"),
        (["source=x", "neighbour=0"], "neighbour to be at least 1"),
        (["source=x", "mode=sorce"], "mode"),
    ],
)
def test_mistakes_are_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["line=inclusion_maps", f"out={tmp_path / 'out'}", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_source_of_nothing_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["line=inclusion_maps", f"out={tmp_path / 'out'}", "source=nowhere"]) == 1
    assert "Expected source to name maps of inclusions, but found none at nowhere" in capsys.readouterr().err


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the shared cases")
def test_the_example_of_the_paper(shared_data: Path, tmp_path: Path) -> None:
    maps = shared_data / "metallography" / "inclusion_maps"
    source = f"source=[{maps / 'scan1tag-47.png'},{maps / 'scan3tag-53.png'}]"
    assert main(["line=inclusion_maps", source, f"out={tmp_path / 'out'}", "page=false"]) == 0
    objects = pd.read_csv(tmp_path / "out" / "objects.csv")
    assert pd.read_csv(tmp_path / "out" / "areas.csv")["map"].iloc[0] == "scan1tag-47"
    for name, case in (("scan1tag-47", "03"), ("scan3tag-53", "02")):
        expected = pd.read_csv(CASES / f"{case}_measures_{name}.csv")
        found = objects[objects["map"] == name]
        for column, theirs in (
            ("x", "centroid_x"),
            ("y", "centroid_y"),
            ("area", "area"),
            ("spatial", "spatial"),
            ("shape", "shape_corners"),
            ("combined", "combined_corners"),
        ):
            np.testing.assert_allclose(found[column], expected[theirs], atol=1e-6)
        areas = json.loads((CASES / f"{case}_areas_{name}.json").read_text())["combined_corners/serial"]
        groups = {
            frozenset(expected["label"].to_numpy()[(found["area_id"] == number).to_numpy()])
            for number in found["area_id"].dropna().unique()
        }
        assert groups == {frozenset(area["members"]) for area in areas}
