"""Outlines of the data: shown as masks, mended on the page, and written back where they lay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.oring import OringDataModule
from datamodules.outlines.annotations import read_annotation
from datamodules.outlines.polygons import fill
from tools.labelling.masks import MASKS, Masks
from tools.labelling.returning import REPLACED, return_labels
from tools.labelling.seeing import mask_on_disk

from .marking import SIZE, desk_of, draw, outlined, say, spot

if TYPE_CHECKING:
    from pathlib import Path


def test_rings_whose_outlines_lie_in_a_folder_of_their_own(tmp_path: Path) -> None:
    root, out = tmp_path / "rings", tmp_path / "out"
    for number in range(4):
        draw(root / "images" / f"{number}.png", number)
    body = spot(24, 20)
    outlined(root / "labels" / "0.json", ("tear", spot()))
    outlined(root / "labels" / "1.json", ("o-ring", body), ("cut", spot(30, 20)))
    outlined(root / "labels" / "2.json", ("o-ring", body))
    before = OringDataModule(root=str(root)).listing()[0].set_index("name")["label_index"]
    assert list(before) == [1, 1, -1, 0]
    desk, masks = desk_of(OringDataModule(root=str(root)), out), Masks(out / MASKS)
    say(desk, masks, "images/0.png", "good")
    say(desk, masks, "images/1.png", "good")
    say(desk, masks, "images/2.png", "defective", "tear", spot(36, 25))
    say(desk, masks, "images/3.png", "defective", "tear", spot())
    return_labels(desk, masks, "oring", root, out)
    table, problems = OringDataModule(root=str(root)).listing()
    assert problems == []
    found = table.set_index("name")
    assert list(found["label_index"]) == [0, 0, 1, 1]
    assert list(found["defect"]) == ["", "", "tear", "tear"]
    expected = {"images/1.png": {"o-ring": body}, "images/2.png": {"o-ring": body, "tear": spot(36, 25)}}
    for name, marks in expected.items():  # what outlines the part stays
        row = found.loc[name]
        read = read_annotation(str(row["annotation_path"]), str(row["image_path"]), *SIZE).outlines
        assert {one.label for one in read} == set(marks)
        assert all((fill(one.rings, *SIZE) == (marks[one.label] > 0)).all() for one in read)
    assert (out / REPLACED / "labels" / "0.json").is_file()


def test_a_table_beside_a_coco_file_is_refused(tmp_path: Path) -> None:
    root, out = tmp_path / "rings", tmp_path / "out"
    draw(root / "images" / "0.png", 0)
    coco = {"images": [{"id": 1, "file_name": "0.png", "height": SIZE[0], "width": SIZE[1]}], "annotations": []}
    (root / "train.json").write_text(json.dumps(coco), encoding="utf-8")
    desk, masks = desk_of(OringDataModule(root=str(root)), out), Masks(out / MASKS)
    say(desk, masks, "images/0.png", "defective", "tear", spot())
    with pytest.raises(DataError, match=r"but found train\.json, .* export=coco"):
        return_labels(desk, masks, "oring", root, out)


def test_outlines_of_the_data_are_shown_as_its_mask(tmp_path: Path) -> None:
    root = tmp_path / "rings"
    draw(root / "images" / "0.png", 0)
    outlined(root / "labels" / "0.json", ("tear", spot()), ("cut", spot(30, 20)))
    desk = desk_of(OringDataModule(root=str(root)), tmp_path / "out")
    data = mask_on_disk(desk.item("images/0.png"))
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(shown, np.maximum(spot(), spot(30, 20)))
    assert desk.shown("images/0.png", "Ada")["has_mask"]
