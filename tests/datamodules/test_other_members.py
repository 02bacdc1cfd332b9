"""Masks, label files and leftovers as people bring them to any data: used, named or refused, and never an image."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.fiber import FiberDataModule
from datamodules.folder import FolderDataModule
from datamodules.masks.reading import read_mask
from datamodules.meta_atom import MetaAtomDataModule
from datamodules.metallography import MetallographyDataModule
from datamodules.oring import OringDataModule
from datamodules.print3d import Print3dDataModule

if TYPE_CHECKING:
    from pathlib import Path

    from datamodules.base import InspectionDataModule

RING = {"shapes": [{"label": "pit", "points": [[20, 20], [36, 20], [36, 32]]}], "imageHeight": 64, "imageWidth": 64}


def draw(path: Path, *, mask: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(list(str(path).encode())).integers(60, 180, (64, 64)).astype(np.uint8)
    if mask:
        values = np.zeros((64, 64), np.uint8)
        values[20:32, 20:36] = 255
    assert cv2.imwrite(str(path), values)
    return path


def put(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def usual(root: Path, image: str = "{}.png") -> Path:
    for index in range(8):
        draw(root / "good" / image.format(f"{index:03}"))
    for index in range(4):
        draw(root / "scratch" / image.format(f"{index:03}"))
    return root


def listed(data: InspectionDataModule) -> tuple[dict[str, int], dict[str, str]]:
    """Return labels by name, and what is said of what is not used, by the name of the file."""
    rows, problems = data.sample_table()
    said = {problem.path.rpartition("/")[2]: problem.problem for problem in problems}
    return dict(zip(rows["name"], rows["label_index"], strict=True)), said


def marked(root: Path) -> list[int]:
    rows, _ = FolderDataModule(root=str(root)).sample_table()
    return [int(read_mask(path).sum()) for path in rows["mask_path"][rows["label_index"] == 1] if path]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}.png", "masks/scratch/{}mask.png"),
        ("{}.png", "ground_truth/scratch/{}GT.png"),
        ("{}.png", "masks/mask{}.png"),
        ("{}.png", "scratch/{}gt.png"),
        ("{}.png", "masks/scratch/{}_mask/1.png"),
        ("{}.png", "scratch/lbl/{}.png"),
        ("{}.png", "gt/scratch/{}_bw.png"),
        ("{}.png", "gt/scratch/{}_labelIds.png"),
        ("{}.jpg", "masks/scratch/{}.jpg.png"),
        ("img_{}.png", "masks/scratch/mask_{}.png"),
        ("{}_image.png", "masks/scratch/{}_mask.png"),
    ],
)
def test_a_mask_finds_its_image(tmp_path: Path, image: str, mask: str) -> None:
    root = usual(tmp_path, image)
    for index in range(4):
        draw(root / mask.format(f"{index:03}"), mask=True)
    labels, said = listed(FolderDataModule(root=str(root)))
    assert len(labels) == 12
    assert not said
    assert marked(root) == [192] * 4


def test_what_looks_like_a_mask_beside_its_image_is_named_and_no_image(tmp_path: Path) -> None:
    root = usual(tmp_path)
    for index in range(4):
        draw(root / "scratch" / f"{index:03}_defekt.png", mask=True)
    labels, said = listed(FolderDataModule(root=str(root)))
    assert len(labels) == 12
    assert said == {f"{index:03}_defekt.png": "is a mask that belongs to no image" for index in range(4)}


@pytest.mark.parametrize("behind", ["_2", "b", " (copy)", "_side"])
def test_photographs_whose_names_go_on_stay_images(tmp_path: Path, behind: str) -> None:
    root = usual(tmp_path)
    for index in range(4):
        draw(root / "scratch" / f"{index:03}{behind}.png")
    assert len(listed(FolderDataModule(root=str(root)))[0]) == 16


def test_a_folder_below_a_class_that_looks_like_masks_is_asked_about_and_the_advice_works(tmp_path: Path) -> None:
    root = usual(tmp_path)
    for index in range(4):
        draw(root / "scratch" / "maps" / f"{index:03}.png", mask=True)
    with pytest.raises(
        DataError, match=r"images in scratch/maps/ .* found 4 that look like masks; rename the folder to"
    ):
        listed(FolderDataModule(root=str(root)))
    (root / "scratch" / "maps").rename(root / "scratch" / "masks")
    assert marked(root) == [192] * 4


def test_colours_on_a_bright_ground_are_no_mask(tmp_path: Path) -> None:
    values = np.full((64, 64, 3), 255, np.uint8)
    values[20:32, 20:36] = (0, 0, 255)
    assert cv2.imwrite(str(tmp_path / "mask.png"), values)
    with pytest.raises(ValueError, match="colours on a ground of 255, 255, 255, not of black"):
        read_mask(tmp_path / "mask.png")
    values[:] = 0
    values[20:32, 20:36] = (0, 0, 255)
    values[40:50, 40:50] = (0, 200, 0)
    assert cv2.imwrite(str(tmp_path / "mask.png"), values)
    assert read_mask(tmp_path / "mask.png").sum() == 292


@pytest.mark.parametrize("mask", ["masks/scratch/{}.png", "scratch/{}_mask.png", "scratch/gt/{}.png"])
def test_masks_are_no_images_and_layers_have_them_while_rings_name_them(tmp_path: Path, mask: str) -> None:
    root = usual(tmp_path)
    for index in range(4):
        draw(root / mask.format(f"{index:03}"), mask=True)
    table, _ = Print3dDataModule(root=str(root)).listing()
    assert len(table) == 12
    assert set(table["label_index"][table["mask_path"] != ""]) == {1}
    assert (table["mask_path"] != "").sum() == 4
    (root / "scratch").rename(root / "defect")
    labels, said = listed(OringDataModule(root=str(root)))
    assert len(labels) == 12
    assert any("data=oring does not read" in problem for problem in said.values())


@pytest.mark.parametrize("folder", ["thumbnails", "good/thumbs", "#recycle", "good/__pycache__"])
def test_small_copies_and_leftovers_are_no_images(tmp_path: Path, folder: str) -> None:
    draw(usual(tmp_path) / folder / "000.png")
    assert len(listed(FolderDataModule(root=str(tmp_path)))[0]) == 12
    assert len(listed(Print3dDataModule(root=str(tmp_path)))[0]) == 12


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (("config.yaml", "environment.json"), "a run of Loupe"),
        (("spec.json", "predict.py"), "a bundle of Loupe"),
        (("predictions.jsonl", "predictions.csv"), "predictions of Loupe"),
    ],
)
def test_what_loupe_wrote_beside_the_classes_is_no_class(tmp_path: Path, files: tuple[str, ...], what: str) -> None:
    root = usual(tmp_path)
    for name in files:
        put(root / "deep" / "own" / name, "{}")
    draw(root / "deep" / "own" / "images" / "000.png")
    for data in (FolderDataModule(root=str(root)), Print3dDataModule(root=str(root))):
        labels, said = listed(data)
        assert len(labels) == 12
        assert said["own"] == f"is {what}, which is not read as data"


def test_label_files_that_nothing_reads_are_named(tmp_path: Path) -> None:
    root = usual(tmp_path)
    put(root / "good" / "003.json", RING)
    put(
        root / "_annotations.coco.json", {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 1}]}
    )
    put(root / "notes.txt", "taken on Monday")
    _, said = listed(FolderDataModule(root=str(root)))
    assert set(said) == {"003.json", "_annotations.coco.json"}
    assert all("which this data does not read" in problem for problem in said.values())
    for index in range(40):
        put(root / "labels" / f"{index}.json", RING)
    _, said = listed(FolderDataModule(root=str(root)))
    assert said["labels"].startswith("holds 40 files such as 0.json, which is a label file of outlines")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("labels.xlsx", "PK", "holds a spreadsheet"),
        ("defective.txt", "1.png\n3.png\n", "lists images, and is not read"),
        ("bad.txt", "images/1 1\nimages/3 1\n", "lists images, and is not read"),
        ("labels/7.geojson", '{"type": "FeatureCollection", "features": []}', "is GeoJSON"),
    ],
)
def test_what_may_say_which_are_defective_is_no_silence(tmp_path: Path, name: str, content: str, said: str) -> None:
    for index in range(6):
        draw(tmp_path / "images" / f"{index}.png")
    put(tmp_path / "labels" / "2.json", RING)
    put(tmp_path / "train.txt", "1.png\n3.png\n")
    put(tmp_path / "README.txt", "Rings of May.\n1.png is the first.\nThanks.\n")
    labels, named = listed(OringDataModule(root=str(tmp_path)))
    assert list(labels.values()) == [0, 0, 1, 0, 0, 0]
    assert set(named) == {"train.txt"}
    put(tmp_path / name, content)
    with pytest.raises(DataError, match=said):
        listed(OringDataModule(root=str(tmp_path)))
    (tmp_path / name).unlink()  # as the message says
    assert len(listed(OringDataModule(root=str(tmp_path)))[0]) == 6


def test_splits_below_classes_are_splits(tmp_path: Path) -> None:
    for split in ("train", "Valid", "test"):
        for index in range(4):
            draw(tmp_path / "good" / split / f"{index}.png")
            draw(tmp_path / "scratch" / split / f"{index}.png")
    rows, _ = FolderDataModule(root=str(tmp_path)).sample_table()
    assert rows["split"].value_counts().to_dict() == {"train": 8, "calibration": 8, "test": 8}
    assert set(rows["group"]) == {""}


@pytest.mark.parametrize("name", ["reference", "golden", "ignore", "background", "unsure"])
def test_a_folder_that_may_be_nobodys_is_asked_about(tmp_path: Path, name: str) -> None:
    draw(usual(tmp_path) / name / "0.png")
    with pytest.raises(DataError, match=rf"found {name}/ \(1 images\), which may be either"):
        listed(FolderDataModule(root=str(tmp_path)))


def test_arrays_are_found_in_any_unicode_form_and_no_cell_has_two_classes(tmp_path: Path) -> None:
    for array, row, col in np.ndindex(3, 2, 2):
        draw(tmp_path / f"ä{array}" / f"ä{array}_{row + 1},{col + 1}.png")
    lines = [f"{unicodedata.normalize('NFD', 'ä')}{array},1,1,missing" for array in range(3)]
    put(tmp_path / "labels.csv", "\n".join(["array,row,col,class", *lines]))
    labels, said = listed(MetaAtomDataModule(root=str(tmp_path)))
    assert sum(label == 1 for label in labels.values()) == 3
    assert not said
    put(tmp_path / "labels.csv", "\n".join(["array,row,col,class", *lines, f"{lines[0][:-7]}good"]))
    with pytest.raises(DataError, match=r"Expected one class for row 1, column 1 .* found 'missing' and 'good'"):
        listed(MetaAtomDataModule(root=str(tmp_path)))


def test_folders_that_say_what_fibers_show_are_not_overlooked(tmp_path: Path) -> None:
    for index in range(6):
        draw(tmp_path / "good" / f"{index}.png")
        draw(tmp_path / "bad" / f"{index}.png")
    data = FiberDataModule(root=str(tmp_path))
    assert set(listed(data)[0].values()) == {-1}
    assert data.remarks[0].startswith("Folders such as bad/ may say what images show, which data=fiber does not read")
    assert set(listed(FolderDataModule(root=str(tmp_path)))[0].values()) == {0, 1}


def test_marks_in_the_alpha_channel_of_a_micrographs_mask_are_marks(tmp_path: Path) -> None:
    values = np.zeros((64, 64, 4), np.uint8)
    values[20:32, 20:36, 3] = 255
    for index in range(6):
        draw(tmp_path / "images" / f"{index}.png")
        (tmp_path / "masks").mkdir(exist_ok=True)
        assert cv2.imwrite(str(tmp_path / "masks" / f"{index}.png"), values)
    put(tmp_path / "labels.csv", "image,label\n0.png,good\n")
    labels, said = listed(MetallographyDataModule(root=str(tmp_path)))
    assert set(labels.values()) == {1}
    assert said == {"labels.csv": "is a table of labels that is not read"}


def test_where_no_label_file_marks_anything_it_is_said(tmp_path: Path) -> None:
    for index in range(4):
        draw(tmp_path / f"{index}.png")
    images = [{"id": index, "file_name": f"{index}.png", "width": 64, "height": 64} for index in range(4)]
    put(tmp_path / "result.json", {"images": images, "annotations": [], "categories": [{"id": 1, "name": "pit"}]})
    data = OringDataModule(root=str(tmp_path))
    data.samples, _ = data.sample_table()
    assert "No label file marks anything: all of these 4 images count as good." in data.notes()
