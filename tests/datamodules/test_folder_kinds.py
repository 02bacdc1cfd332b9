"""Folders as people bring them: nothing in them is guessed, lost or skipped in silence."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.folder import FolderDataModule
from datamodules.layouts.class_words import may_be_either
from datamodules.masks.reading import read_mask
from datamodules.synthetic.datamodule import SyntheticDataModule

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "data"


def draw(path: Path, *, mask: bool = False, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, *path.as_posix().encode()])
    values = rng.integers(60, 180, (64, 64, 3)).astype(np.uint8)
    if mask:
        values = np.zeros((64, 64), np.uint8)
        values[20:32, 20:36] = 255
    assert cv2.imwrite(str(path), values)


def usual(root: Path, good: int = 8, defective: int = 4) -> Path:
    for index in range(good):
        draw(root / "good" / f"{index:03}.png")
    for index in range(defective):
        draw(root / "scratch" / f"{index:03}.png")
    return root


def read(root: Path, **options: Any) -> FolderDataModule:
    data = FolderDataModule(root=str(root), **options)
    data.setup()
    return data


def pixels(data: FolderDataModule) -> list[int]:
    masks = data.samples["mask_path"][data.samples["mask_path"] != ""]
    return [int(read_mask(path, data.mask_on, data.void).sum()) for path in masks]


def left_out(data: FolderDataModule) -> dict[str, str]:
    return dict(zip(data.excluded["path"].map(os.path.basename), data.excluded["problem"], strict=True))


# Case, options, rows, marked pixels of each mask, and what is said of what is left out (a part of it, by name).
EXPECTED: list[tuple[str, dict[str, Any], int, list[int], dict[str, str]]] = [
    ("01_hidden_folders", {}, 12, [], {}),
    ("02_loco_masks", {}, 16, [292] * 4, {}),
    ("02b_mask_names", {}, 14, [192] * 5, {"IMG_004_mask.png": "belongs to no image"}),
    ("02c_gt_folder", {}, 12, [192] * 4, {}),
    ("02d_flat_masks", {}, 12, [192] * 4, {}),
    ("02e_masks_inside_class", {}, 16, [192] * 4, {}),
    ("02f_label_beside", {}, 12, [192] * 4, {}),
    ("03_voc_colours", {}, 8, [], {f"00{n}.png": "of value 8 at most" for n in range(4)}),
    ("03_voc_colours", {"mask_on": 0}, 12, [292] * 4, {}),
    ("03b_ids_1_to_N", {}, 8, [], {f"00{n}.png": "values 100 beside 150" for n in range(4)}),
    ("03b_ids_1_to_N", {"mask_on": 0}, 12, [292] * 4, {}),
    ("03c_alpha_masks", {}, 12, [192] * 4, {}),
    ("03d_void_border", {}, 8, [], {f"00{n}.png": "1 beside 255" for n in range(4)}),
    ("03d_void_border", {"void": (255,)}, 12, [192] * 4, {}),
    ("04_unicode_forms", {}, 12, [192] * 4, {}),
    ("04c_case", {}, 12, [192] * 4, {}),
    ("05_number_folders", {"good": (0,)}, 12, [], {}),
    ("12b_valid_split", {}, 24, [], {}),
    ("12c_masks_in_split", {}, 16, [192] * 4, {}),
    ("15_formats_unlisted", {}, 17, [], {"004.heic": "not read (.heic)"}),
    ("20b_exif_rect_masks", {}, 8, [], {f"00{n}.png": "mask of 96x64" for n in range(4)}),
    ("21_same_stem", {}, 8, [], {"000.jpg": "(000.jpg, 000.png)", "001.png": "(001.jpg, 001.png)"}),
    ("21b_two_masks", {}, 8, [], {"000.png": "scratch/000.png and masks/scratch/000_mask.png"}),
    ("21c_mask_in_name", {}, 12, [192] * 4, {}),
    ("21d_masks_for_good", {}, 11, [192] * 4, {"003.png": "is called good, but its mask 003.png marks 192 pixels"}),
    ("21e_class_case", {}, 12, [192] * 4, {}),
]


@pytest.mark.parametrize(("case", "options", "rows", "marked", "said"), EXPECTED)
def test_cases(case: str, options: dict[str, Any], rows: int, marked: list[int], said: dict[str, str]) -> None:
    root = CASES / case
    if not root.is_dir():
        pytest.skip("needs the cases in ../shared")
    data = read(root, **options)
    assert len(data.samples) == rows
    assert pixels(data) == marked
    assert "gt" not in set(data.samples["defect"])
    found = left_out(data)
    assert bool(found) == bool(said)
    for name, problem in said.items():
        assert problem in found[name]


def test_a_validation_folder_is_the_calibration_split(tmp_path: Path) -> None:
    for name in ("valid", "val", "validation", "dev", "calibration"):
        root = tmp_path / name
        for split in ("train", name, "test"):
            usual(root / split, good=3, defective=2 if split != "train" else 0)
        assert Counter(read(root).samples["split"])["calibration"] == 5


@pytest.mark.parametrize(
    "junk",
    [
        *(".hidden/a.png", "good/.cache/a.png", "__MACOSX/good/._000.png", "good/.ipynb_checkpoints/a-checkpoint.png"),
        *("@eaDir/good/a.png", "$RECYCLE.BIN/a.png", "good/._000.png", "scratch/.thumbnails/000.png"),
    ],
)
def test_what_systems_leave_behind_is_no_image(tmp_path: Path, junk: str) -> None:
    draw(usual(tmp_path) / junk)
    assert len(read(tmp_path).samples) == 12


def test_masks_beside_images_are_told_by_name_or_content(tmp_path: Path) -> None:
    root = usual(tmp_path / "kolektor", defective=0)
    for index in range(4):
        draw(root / "bad" / f"Part{index}.jpg")
        draw(root / "bad" / f"Part{index}_label.bmp", mask=True)
    assert pixels(read(root)) == [192] * 4
    root = tmp_path / "magnetic"
    for index in range(8):
        draw(root / "MT_Free" / "Imgs" / f"exp{index}.jpg")
        cv2.imwrite(str(root / "MT_Free" / "Imgs" / f"exp{index}.png"), np.zeros((64, 64), np.uint8))
    for index in range(4):
        draw(root / "MT_Crack" / "Imgs" / f"exp{index}.jpg")
        draw(root / "MT_Crack" / "Imgs" / f"exp{index}.png", mask=True)
    data = read(root, good=("MT_Free",))
    assert len(data.samples) == 12
    assert pixels(data) == [192] * 4
    assert data.samples["group"].nunique() == 12  # a folder that only says "images" is not a group
    with pytest.raises(DataError, match=r"MT_Free/ \(8 images\), which .* as in data\.good=\['MT_Free'\]"):
        read(root)


def test_where_no_mask_is_used_the_first_line_says_so(tmp_path: Path) -> None:
    root = usual(tmp_path)
    for index in range(4):
        draw(root / "masks" / "scratch" / f"other{index}.png", mask=True)
    data = read(root)
    assert len(data.remarks) == 1
    assert "None of the 4 masks belongs to a defective image, for example masks/scratch/other0.png" in data.remarks[0]
    assert len(data.excluded) == 4


@pytest.mark.parametrize("name", ["backup of good", "test_images", "images", "ok new", "Good (2)", "data", "good_lot7"])
def test_a_name_that_may_be_either_is_asked_for(tmp_path: Path, name: str) -> None:
    root = usual(tmp_path)
    draw(root / name / "0.png")
    with pytest.raises(DataError, match=r"which may be either; name each in data\.good, data\.defective or data\.unk"):
        read(root)
    assert (read(root, good=("good", name)).samples["label_index"] == 0).sum() == 9
    assert (read(root, defective=(name,)).samples["label_index"] == 1).sum() == 5


@pytest.mark.parametrize("name", ["NG", "not ok", "not_good", "NOK", "bad", "defective", "scratch", "hole", "1"])
def test_a_name_that_says_it_is_bad_is_believed(name: str) -> None:
    assert not may_be_either(name)


def test_images_that_lie_elsewhere_are_named(tmp_path: Path) -> None:
    root = usual(tmp_path / "a")
    draw(root / "loose.png")
    assert left_out(read(root)) == {"loose.png": "is an image in no class folder"}
    root = tmp_path / "b"
    for split in ("train", "test"):
        usual(root / split, defective=2)
    usual(root / "more")
    draw(root / "loose.png")
    assert left_out(read(root)) == {
        "b": "holds 1 images beside test/ and train/, which are not used",
        "more": "holds 12 images beside test/ and train/, which are not used",
    }


def test_what_loupe_drew_is_no_class(tmp_path: Path) -> None:
    drawn = SyntheticDataModule(root=str(tmp_path / "drawn"), good=4, defective=2, size=64)
    drawn.setup()
    with pytest.raises(DataError, match="images that Loupe drew"):
        read(next((tmp_path / "drawn").iterdir()))
    usual(tmp_path)
    (tmp_path / "drawn" / "fiber-64-4-2-0").rename(tmp_path / "fiber-64-4-2-0")
    (tmp_path / "drawn").rmdir()
    data = read(tmp_path)
    assert len(data.samples) == 12
    assert "which are not read as a class" in left_out(data)["fiber-64-4-2-0"]


def test_nothing_is_drawn_into_somebodys_data(tmp_path: Path) -> None:
    usual(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"found 'good' in .*; to train on your own images, use data=folder"):
        SyntheticDataModule(root=str(tmp_path), good=4, defective=2, size=64).setup()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", [b"line\nend.png", b"caf\xe9.png", b"bell\x07.png"])
def test_a_name_that_no_table_holds_is_left_out_with_a_remedy(tmp_path: Path, name: bytes) -> None:
    root = usual(tmp_path)
    (root / "good" / "000.png").rename(root / "good" / os.fsdecode(name))
    data = read(root)
    assert len(data.samples) == 11
    assert data.excluded["remedy"].tolist() == ["rename it"]
    assert data.excluded.to_csv().isascii()
