"""The defects that a prediction lists: in pixels of the file, whole after an interruption, the same in both files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from callbacks.defects.measured import DefectRules
from tools.runner.measuring import COLUMNS, Measuring
from tools.runner.result import Result
from tools.runner.writing import Writer

if TYPE_CHECKING:
    from pathlib import Path

RULES = DefectRules(severity=[{"name": "medium", "min_area": 100}, {"name": "low"}])
MEASURING = Measuring(RULES, [1.0, 2.0, 5.0], um_per_pixel=0.5)


def result(name: str, *boxes: tuple[int, int, int, int]) -> Result:
    """A judged image of 64 by 128 pixels, whose map has 32 by 32; boxes: top, left, height and width on the map."""
    mask = np.zeros((32, 32), dtype=bool)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = True
    return Result(
        name,
        score=3.0,
        threshold=1.0,
        defective=True,
        size=(64, 128),
        kind="thin",
        anomaly_map=mask.astype(np.float32) * 3,
        mask=mask,
    )


def write(folder: Path, *results: Result) -> pd.DataFrame:
    with Writer(folder, {}, "none", "none", MEASURING) as writer:
        for one in results:
            writer.write(one)
    table = pd.read_csv(folder / "defects.csv", keep_default_na=False)
    assert writer.defects == len(table)
    assert list(table.columns) == list(COLUMNS)
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    in_record = [defect["area"] for row in rows for defect in row.get("defects", [])]
    assert in_record == table["area"].tolist()
    return table


def test_rows_measure_defects_in_pixels_of_the_file(tmp_path: Path) -> None:
    table = write(tmp_path, result("a.png", (2, 4, 3, 6), (20, 20, 1, 1)), result("b.png"))
    first, second = table.to_dict("records")
    assert (first["image_path"], first["kind"], first["severity"], second["severity"]) == (
        "a.png",
        "thin",
        "medium",
        "low",
    )
    assert (first["left"], first["top"], first["box_width"], first["box_height"]) == (16, 4, 24, 6)
    assert (first["area"], first["area_um2"], first["length_um"]) == pytest.approx((144, 36, 12))
    assert first["confidence"] == 2 / 4  # two of three good peaks lie below 3


def test_a_call_that_goes_on_lists_every_defect_once(tmp_path: Path) -> None:
    write(tmp_path, result("a.png", (2, 4, 3, 6)), result("b.png", (8, 8, 2, 2)))
    record = (tmp_path / "predictions.jsonl").read_bytes()
    (tmp_path / "predictions.jsonl").write_bytes(record[:-9])  # a kill: the last row is half written, its defects whole
    again = write(tmp_path, result("b.png", (8, 8, 2, 2)), result("c.png", (1, 1, 1, 1)))
    assert again["image_path"].tolist() == ["a.png", "b.png", "c.png"]


def test_pictures_that_could_not_be_read_and_good_ones_leave_an_empty_table(tmp_path: Path) -> None:
    assert write(tmp_path, result("a.png"), Result("broken.png", error="is empty")).empty


def test_measuring_survives_the_way_through_json() -> None:
    values = json.loads(json.dumps(MEASURING.to_dict()))
    assert Measuring.read(values) == MEASURING
