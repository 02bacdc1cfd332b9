"""Label files of single images, and COCO files beside other labels: read right, or left out and named.

The oracle is what was drawn: which images have a defect, and how many pixels of them.
"""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.outlines.image_heads import image_head
from datamodules.table import DEFECTIVE, GOOD
from tests.datamodules.layouts.drawn_labels import PIXELS, RING, SIZE, coco, image, labels, pixels, put, setup

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("folder", ["json", "outlines/2026", "Labels", "annotations", "ann", "images"])
@pytest.mark.parametrize("spell", [str, str.upper, lambda stem: unicodedata.normalize("NFD", stem)])
@pytest.mark.parametrize("form", ["labelme", "own"])
def test_label_files_are_found_under_any_folder(
    tmp_path: Path, folder: str, spell: Callable[[str], str], form: str
) -> None:
    points = np.array(RING).reshape(-1, 2).tolist()
    labelme = {"shapes": [{"label": "pit", "points": points}], "imageHeight": SIZE, "imageWidth": SIZE}
    for index in range(5):
        image(tmp_path / "images" / f"prüf_{index}.png")
    for index in (1, 4):
        content = labelme if form == "labelme" else {"polygons": [{"points": points}]}
        put(tmp_path / folder / f"{spell(f'prüf_{index}')}.json", content)
    data = setup(tmp_path)
    assert list(labels(data).values()) == [0, 1, 0, 0, 1]
    assert set(pixels(data).values()) == {PIXELS}
    assert data.excluded.empty


def test_label_files_without_an_image_stop_everything_where_absence_is_good(tmp_path: Path) -> None:
    points = np.array(RING).reshape(-1, 2).tolist()
    for index in range(5):
        image(tmp_path / "images" / f"{index}.png")
    for stem in ("1", "renamed", "gone", "lost"):
        put(tmp_path / "labels" / f"{stem}.json", {"shapes": [{"points": points}]})
    with pytest.raises(DataError, match=r"found 3 files without one \(labels/gone\.json, labels/lost\.json, \.\.\.\)"):
        setup(tmp_path)


def test_two_claims_on_one_image_and_one_label_for_two_images_are_refused(tmp_path: Path) -> None:
    points = np.array(RING).reshape(-1, 2).tolist()
    for name in ("0.png", "1.png", "1.jpg", "2.png", "3.png", "4.png"):
        image(tmp_path / "images" / name)
    shape = {"shapes": [{"points": points}]}
    put(tmp_path / "labels" / "1.json", shape)
    put(tmp_path / "labels" / "2.json", shape)
    put(tmp_path / "images" / "2.json", {"shapes": []})
    put(tmp_path / "labels" / "3.json", shape)
    put(tmp_path / "labels" / "3_mask.json", shape)  # the same twice is one claim
    data = setup(tmp_path)
    assert labels(data) == {"images/0.png": GOOD, "images/3.png": DEFECTIVE, "images/4.png": GOOD}
    said = {path[-5:]: problem for path, problem in zip(data.excluded["path"], data.excluded["problem"], strict=True)}
    assert set(said) == {"1.png", "1.jpg", "2.png"}
    assert "labels/2.json" in said["2.png"]
    assert "images/2.json" in said["2.png"]


def test_masks_that_this_data_cannot_read_are_named(tmp_path: Path) -> None:
    for index in range(3):
        image(tmp_path / "images" / f"{index}.png")
        image(tmp_path / "masks" / f"{index}.png")
    with pytest.raises(DataError, match=r"sort or label them, or use data=folder for the masks in masks/"):
        setup(tmp_path)
    put(tmp_path / "labels" / "1.json", {"shapes": [{"points": np.array(RING).reshape(-1, 2).tolist()}]})
    data = setup(tmp_path)
    assert list(labels(data).values()) == [GOOD, DEFECTIVE, GOOD]
    assert data.excluded["problem"].item().startswith("holds 3 images that look like masks")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_json_of_any_unicode_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    for index in range(3):
        image(tmp_path / "images" / f"ä{index}.png")
    content = json.dumps(coco([f"ä{index}.png" for index in range(3)], [1]), ensure_ascii=False)
    put(tmp_path / "result.json", content, encoding)
    assert list(labels(setup(tmp_path)).values()) == [0, 1, 0]


def test_flags_that_somebody_ticked_are_not_overlooked(tmp_path: Path) -> None:
    for index in range(4):
        image(tmp_path / f"{index}.png")
    put(tmp_path / "1.json", {"shapes": [], "flags": {"scratch": True, "pit": False}})
    put(tmp_path / "2.json", {"shapes": [], "flags": {"scratch": False}})
    put(tmp_path / "3.json", {"shapes": [], "flags": {"good": True}})
    data = setup(tmp_path)
    assert labels(data) == {"0.png": GOOD, "2.png": GOOD, "3.png": GOOD}
    assert "'scratch' ticked" in data.excluded["problem"].item()


def test_coco_beside_label_files_of_single_images_is_refused(tmp_path: Path) -> None:
    for index in range(3):
        image(tmp_path / "images" / f"{index}.png")
    put(tmp_path / "annotations.json", coco(["0.png", "1.png", "2.png"], [1]))
    put(tmp_path / "images" / "2.json", {"shapes": [{"points": [[1, 1], [9, 1], [9, 9]]}]})
    with pytest.raises(DataError, match=r"COCO file annotations\.json and 1 label files .* images/2\.json"):
        setup(tmp_path)


def test_coco_beside_a_table_is_refused(tmp_path: Path) -> None:
    for index in range(3):
        image(tmp_path / "images" / f"{index}.png")
    put(tmp_path / "annotations.json", coco(["0.png", "1.png", "2.png"], [1]))
    put(tmp_path / "Labels.csv", "image,label\nimages/0.png,good\n")
    with pytest.raises(DataError, match=r"COCO file annotations\.json and Labels\.csv; move one"):
        setup(tmp_path)


def test_an_image_that_pillow_cannot_open_keeps_its_label(tmp_path: Path) -> None:
    for index in range(3):
        image(tmp_path / "images" / f"{index}.png")
    values = np.random.default_rng(0).random((SIZE, SIZE, 3)).astype(np.float32)
    assert cv2.imwrite(str(tmp_path / "images" / "3.tif"), values)
    assert image_head(tmp_path / "images" / "3.tif") is None
    put(tmp_path / "result.json", coco(["0.png", "1.png", "2.png", "3.tif"], [1, 3]))
    assert labels(setup(tmp_path))["images/3.tif"] == DEFECTIVE
    (tmp_path / "images" / "3.tif").write_bytes(b"II*\x00")
    assert "images/3.tif" not in labels(setup(tmp_path))


def test_sorted_folders_may_have_their_outlines_in_coco(tmp_path: Path) -> None:
    for index in range(4):
        image(tmp_path / "good" / f"g{index}.png")
        image(tmp_path / "bad" / f"b{index}.png")
    put(tmp_path / "result.json", coco(["b0.png", "b1.png", "b2.png"], [0, 1]))
    data = setup(tmp_path)
    table = labels(data)
    assert [table.get(f"good/g{index}.png") for index in range(4)] == [GOOD] * 4
    assert [table.get(f"bad/b{index}.png") for index in range(4)] == [DEFECTIVE, DEFECTIVE, None, DEFECTIVE]
    assert "outlines nothing" in data.excluded["problem"].item()


def test_a_label_on_every_image_is_asked_about_and_can_be_told(tmp_path: Path) -> None:
    content = coco([f"{index}.png" for index in range(6)], range(6), categories=[{"id": 1, "name": "Dicht Ring"}])
    for entry in content["images"]:
        image(tmp_path / "images" / entry["file_name"])
    put(tmp_path / "result.json", content)
    (note,) = setup(tmp_path).notes()
    assert "data.parts=[o-ring,oring,ring,'Dicht Ring']" in note
    told = setup(tmp_path, background=("dicht ring",))
    assert set(labels(told).values()) == {GOOD}
    assert not told.notes()


def test_a_misspelt_background_is_said(tmp_path: Path) -> None:
    content = coco([f"{index}.png" for index in range(4)], [1])
    for entry in content["images"]:
        image(tmp_path / "images" / entry["file_name"])
    put(tmp_path / "result.json", content)
    (note,) = setup(tmp_path, background=("bakground",)).notes()
    assert "'bakground', but no outline is called that; there are 'pit'" in note


def test_outlines_of_every_defective_image_beside_good_ones_are_no_doubt(tmp_path: Path) -> None:
    for index in range(4):
        image(tmp_path / "good" / f"{index}.png")
        image(tmp_path / "scratch" / f"{index}.png")
    put(tmp_path / "result.json", coco([f"scratch/{index}.png" for index in range(4)], range(4)))
    data = setup(tmp_path)
    assert sorted(labels(data).values()) == [GOOD] * 4 + [DEFECTIVE] * 4
    assert not data.notes()
