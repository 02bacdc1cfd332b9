"""Label files in every way that tools spell names, ids, numbers and outlines, drawn: read right, or left out and named.

The oracle is what was drawn: which images have a defect, and how many pixels of them.
"""

from __future__ import annotations

import json
import unicodedata
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from datamodules.base import excluded_table
from datamodules.errors import DataError
from datamodules.oring import OringDataModule
from datamodules.outlines.image_heads import image_head
from datamodules.samples.dataset import InspectionDataset
from datamodules.table import DEFECTIVE, GOOD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SIZE = 64
RING = [20, 20, 36, 20, 36, 32, 20, 32]
BOX = [20, 20, 16, 12]
PIXELS = 192


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(zlib.crc32(path.as_posix().encode())).integers(0, 90, (SIZE, SIZE), dtype=np.uint8)
    _, encoded = cv2.imencode(".png", values)
    path.write_bytes(encoded.tobytes())
    return path


def put(path: Path, content: Any, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding=encoding)
    return path


def setup(root: Path, **options: Any) -> OringDataModule:
    """List images and labels; nobody has to look at the images, or divide them."""
    data = OringDataModule(root=str(root), image_size=(SIZE, SIZE), num_workers=0, **options)
    data.samples, problems = data.listing()
    data.excluded = excluded_table(problems)
    return data


def labels(data: OringDataModule) -> dict[str, int]:
    return dict(zip(data.samples["name"], data.samples["label_index"], strict=True))


def pixels(data: OringDataModule) -> dict[str, int]:
    """Return the marked pixels of every image that is defective."""
    rows = data.samples[data.samples["label_index"] == DEFECTIVE].reset_index(drop=True)
    dataset = InspectionDataset(rows, data.reading)
    masks = [dataset[index].mask for index in range(len(rows))]
    return {name: 0 if mask is None else int(mask.sum()) for name, mask in zip(rows["name"], masks, strict=True)}


def coco(names: Sequence[str], bad: Sequence[int], **changes: Any) -> dict[str, Any]:
    """Make a COCO file of images with those names, whose bad ones have the box."""
    images = [{"id": index, "file_name": name, "height": SIZE, "width": SIZE} for index, name in enumerate(names)]
    annotations = [
        {"id": index, "image_id": index, "category_id": 1, "segmentation": [RING], "bbox": BOX, "iscrowd": 0}
        for index in bad
    ]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "pit"}], **changes}


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
