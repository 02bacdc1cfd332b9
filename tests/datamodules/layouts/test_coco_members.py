"""COCO files in every way that tools spell names, ids, numbers and outlines: read right, or left out and named.

The oracle is what was drawn: which images have a defect, and how many pixels of them.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from datamodules.errors import DataError
from datamodules.table import DEFECTIVE, GOOD
from tests.datamodules.layouts.drawn_labels import BOX, PIXELS, RING, coco, image, labels, pixels, put, setup

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = [f"teil {index} ö.png" for index in range(6)]
SPELLINGS: dict[str, Callable[[str], str]] = {
    "name": lambda name: name,
    "folder": lambda name: f"images/{name}",
    "deep folder": lambda name: f"/home/me/export/2026/images/{name}",
    "drive": lambda name: rf"D:\rings\images\{name}",
    "mixed": lambda name: rf"images\7/{name}",
    "dots": lambda name: f"./../images/{name}",
    "escaped": quote,
    "file URL": lambda name: f"file:///srv/images/{quote(name)}",
    "web URL": lambda name: f"https://host:8080/a/images/{quote(name)}?token=x%20y#top",
    "bucket": lambda name: f"s3://bucket/rings/{name}",
    "served": lambda name: f"/data/local-files/?d=images/{quote(name)}",
    "NFD": lambda name: unicodedata.normalize("NFD", name),
    "upper case": str.upper,
    "other suffix case": lambda name: name.replace(".png", ".PNG"),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_coco_name_is_found_however_it_is_spelt(tmp_path: Path, spell: Callable[[str], str], form: Any) -> None:
    for name in NAMES:
        image(tmp_path / "images" / unicodedata.normalize(form, name))
    put(tmp_path / "annotations" / "instances_default.json", coco([spell(name) for name in NAMES], [1, 4]))
    data = setup(tmp_path)
    assert data.excluded.empty
    assert [label for _, label in sorted(labels(data).items())] == [0, 1, 0, 0, 1, 0]
    assert set(pixels(data).values()) == {PIXELS}


IDS: dict[str, Callable[[int], Any]] = {
    "number": lambda index: index,
    "text": str,
    "fraction": float,
    "spaced text": lambda index: f" {index} ",
    "large": lambda index: 10**30 + index,
    "uuid": lambda index: f"3f2a-{index}",
    "negative": lambda index: -index,
}


@pytest.mark.parametrize(("listed", "named"), [
    ("number", "text"), ("text", "number"), ("number", "fraction"), ("fraction", "text"), ("text", "spaced text"),
    ("large", "large"), ("uuid", "uuid"), ("negative", "negative"),
])  # fmt: skip
def test_ids_are_compared_as_text(tmp_path: Path, listed: str, named: str) -> None:
    content = coco([f"{index}.png" for index in range(5)], [1, 3])
    for entry in content["images"]:
        image(tmp_path / "images" / entry["file_name"])
        entry["id"] = IDS[listed](entry["id"])
    for annotation in content["annotations"]:
        annotation["image_id"] = IDS[named](annotation["image_id"])
    put(tmp_path / "result.json", content)
    assert list(labels(setup(tmp_path)).values()) == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("odd", [999, "x", None, True, [], {}, "", 0.5], ids=repr)
def test_annotations_that_name_no_image_stop_everything(tmp_path: Path, odd: Any) -> None:
    content = coco([f"{index}.png" for index in range(5)], [1, 3])
    for entry in content["images"]:
        image(tmp_path / "images" / entry["file_name"])
    content["annotations"][0]["image_id"] = odd
    put(tmp_path / "result.json", content)
    with pytest.raises(DataError, match=r"result\.json.* 1 annotations that name images that are not listed"):
        setup(tmp_path)


ODD_SEGMENTATIONS: dict[str, Any] = {
    "text": "20,20,36,20",
    "number": 5,
    "true": True,
    "two points": [[20, 20, 36, 20]],
    "empty ring": [[]],
    "ring and empty ring": [RING, []],
    "words": [["a", "b", "c", "d", "e", "f"]],
    "null inside": [[20, None, 36, 20, 36, 32]],
    "not a number": [[20, float("nan"), 36, 20, 36, 32]],
    "infinite": [[20, float("inf"), 36, 20, 36, 32]],
    "huge": [[20, 1e308, 36, -1e308, 36, 32]],
    "huge whole number": [[20, 10**400, 36, 20, 36, 32]],
    "far outside": [[900, 900, 950, 900, 950, 960]],
    "mostly outside": [[60, 60, 90, 60, 90, 90, 60, 90]],
    "needle": [[1, 1, 1e7, 1, 1e7, 1.1]],
    "no area": [[20, 20, 20, 20, 20, 20]],
    "run lengths of another size": {"size": [32, 32], "counts": [500, 24, 500]},
    "run lengths without size": {"counts": [500, 24, 3572]},
    "run lengths too short": {"size": [64, 64], "counts": [500, 24]},
    "run lengths of nothing": {"size": [64, 64], "counts": [4096]},
    "damaged run lengths": {"size": [64, 64], "counts": "\x00\x01"},
    "nested": [[[[20, 20], [36, 20]]]],
    "objects": [{"x": 1}],
    "null": None,
}


@pytest.mark.parametrize("odd", ODD_SEGMENTATIONS.values(), ids=ODD_SEGMENTATIONS)
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "with a good one"])
def test_a_bad_annotation_costs_its_image_and_no_other(tmp_path: Path, odd: Any, *, alone: bool) -> None:
    content = coco([f"{index}.png" for index in range(6)], [1, 3])
    for entry in content["images"]:
        image(tmp_path / "images" / entry["file_name"])
    bad = {"id": 9, "image_id": 1, "category_id": 1, "segmentation": odd, "bbox": BOX}
    content["annotations"] = [content["annotations"][1], bad] + ([] if alone else [content["annotations"][0]])
    put(tmp_path / "annotations" / "train.json", content)
    data = setup(tmp_path)
    assert labels(data) == {f"images/{index}.png": int(index == 3) for index in (0, 2, 3, 4, 5)}
    (row,) = data.excluded.to_dict("records")
    assert row["path"].endswith("images/1.png")
    assert "left out" in row["remedy"]
    assert "train.json" in row["problem"]


@pytest.mark.parametrize("box", [None, [], [1, 2], [20, 20, 0, 5], [20, 20, -5, 5], [500, 500, 9, 9], ["a"] * 4, "20"])
def test_a_bad_box_costs_its_image(tmp_path: Path, box: Any) -> None:
    content = coco([f"{index}.png" for index in range(4)], [1, 3])
    for entry in content["images"]:
        image(tmp_path / "images" / entry["file_name"])
    for annotation in content["annotations"]:
        annotation |= {"segmentation": []}
    content["annotations"][0]["bbox"] = box
    put(tmp_path / "result.json", content)
    data = setup(tmp_path)
    assert labels(data) == {"images/0.png": GOOD, "images/2.png": GOOD, "images/3.png": DEFECTIVE}
    assert len(data.excluded) == 1


def test_boxes_without_any_segmentation_key_are_labels(tmp_path: Path) -> None:
    content = coco([f"{index}.png" for index in range(4)], [1, 3])
    for entry in content["images"]:
        image(tmp_path / "images" / entry["file_name"])
    for annotation in content["annotations"]:
        del annotation["segmentation"]
    put(tmp_path / "result.json", content)
    data = setup(tmp_path)
    assert list(labels(data).values()) == [0, 1, 0, 1]
    assert set(data.samples["annotation_path"].tolist()[1::2]) == {""}
    assert any("2 images" in note and "boxes" in note for note in data.notes())


def test_keypoints_alone_mark_no_area(tmp_path: Path) -> None:
    content = coco([f"{index}.png" for index in range(4)], [1, 3])
    for entry in content["images"]:
        image(tmp_path / "images" / entry["file_name"])
    content["annotations"][0] = {"id": 0, "image_id": 1, "category_id": 1, "keypoints": [20, 20, 2], "num_keypoints": 1}
    put(tmp_path / "result.json", content)
    data = setup(tmp_path)
    assert "images/1.png" not in labels(data)
    assert "keypoints" in data.excluded["problem"].item()


@pytest.mark.parametrize("categories", [None, [], {}, "pit", [None], [{"name": "pit"}]], ids=repr)
def test_categories_may_be_missing(tmp_path: Path, categories: Any) -> None:
    content = coco([f"{index}.png" for index in range(3)], [1], categories=categories)
    for entry in content["images"]:
        image(tmp_path / entry["file_name"])
    put(tmp_path / "_annotations.coco.json", content)
    assert list(labels(setup(tmp_path)).values()) == [0, 1, 0]


def test_entries_without_name_or_id_are_named_and_their_images_not_taken_for_good(tmp_path: Path) -> None:
    content = coco([f"{index}.png" for index in range(5)], [4])
    for entry in content["images"]:
        image(tmp_path / "images" / entry["file_name"])
    content["images"][0].pop("file_name")
    content["images"][1]["id"] = None
    content["images"][2] = None
    put(tmp_path / "result.json", content)
    data = setup(tmp_path)
    assert labels(data) == {"images/3.png": GOOD, "images/4.png": DEFECTIVE}
    assert data.excluded["path"].str.endswith("result.json").sum() == 3
    assert {path[-5:] for path in data.excluded["path"]} >= {"0.png", "1.png", "2.png"}


def test_images_that_no_coco_file_lists_are_named_and_not_used(tmp_path: Path) -> None:
    for index in range(6):
        image(tmp_path / "images" / f"{index}.png")
    put(tmp_path / "result.json", coco(["0.png", "1.png", "7.png"], [1, 2]))
    data = setup(tmp_path)
    assert labels(data) == {"images/0.png": GOOD, "images/1.png": DEFECTIVE}
    assert len(data.excluded) == 5  # four that are not listed, one that is not there


def test_an_image_in_two_coco_files_is_refused_with_both(tmp_path: Path) -> None:
    for index in range(3):
        image(tmp_path / "images" / f"{index}.png")
    put(tmp_path / "annotations" / "first.json", coco(["0.png", "1.png"], [1]))
    put(tmp_path / "annotations" / "second.json", coco(["1.png", "2.png"], [0]))
    with pytest.raises(DataError, match=r"1 in two of them: images/1\.png in annotations/first\.json and .*second"):
        setup(tmp_path)


def test_two_images_of_one_id_are_refused(tmp_path: Path) -> None:
    content = coco(["0.png", "1.png", "2.png"], [1])
    for entry in content["images"]:
        image(tmp_path / "images" / entry["file_name"])
    content["images"][2]["id"] = "1"
    put(tmp_path / "result.json", content)
    with pytest.raises(DataError, match=r"gives id 1 to two images, 1\.png and 2\.png"):
        setup(tmp_path)


def test_none_of_the_listed_images_is_there(tmp_path: Path) -> None:
    image(tmp_path / "images" / "ring 1.png")
    put(tmp_path / "result.json", coco(["a.png", "b.png", "c.png"], [1]))
    with pytest.raises(DataError, match=r"found none of 3 \(a\.png, b\.png, \.\.\.\); copy them to .*images"):
        setup(tmp_path)


def test_batches_of_one_export_with_the_same_names_stay_apart(tmp_path: Path) -> None:
    for batch, bad in (("batch 1", [0]), ("batch 2", [1, 2])):
        for index in range(3):
            image(tmp_path / batch / "images" / f"{index}.png")
        names = [f"images/{index}.png" for index in range(3)]
        put(tmp_path / batch / "annotations" / "instances.json", coco(names, bad))
    data = setup(tmp_path)
    assert data.excluded.empty
    assert list(labels(data).values()) == [1, 0, 0, 0, 1, 1]


def test_outlines_in_shares_of_the_image_mark_nothing(tmp_path: Path) -> None:
    for name in NAMES:
        image(tmp_path / name)
    document = coco(NAMES, [1, 4])
    document["annotations"][0]["segmentation"] = [[value / 64 for value in RING]]
    put(tmp_path / "annotations.json", document)
    data = setup(tmp_path)
    assert list(labels(data).values()).count(DEFECTIVE) == 1
    assert data.excluded["problem"].str.contains("as shares of width and height").tolist() == [True]
