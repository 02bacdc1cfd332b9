"""Folders by other names than the usual ones: masks stay masks, and no word is taken for more than it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.folder import FolderDataModule
from datamodules.masks.appearance import are_masks, are_photographs
from datamodules.masks.reading import read_mask

if TYPE_CHECKING:
    from pathlib import Path


def draw(path: Path, *, mask: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(list(str(path).encode())).integers(60, 180, (64, 64)).astype(np.uint8)
    if mask:
        values = np.zeros((64, 64), np.uint8)
        values[20:32, 20:36] = 255
    assert cv2.imwrite(str(path), values)
    return path


def usual(root: Path, good: str = "good", defective: str = "scratch") -> Path:
    for index in range(8):
        draw(root / good / f"{index:03}.png")
    for index in range(4):
        draw(root / defective / f"{index:03}.png")
    return root


def read(root: Path, **options: tuple[str, ...]) -> FolderDataModule:
    data = FolderDataModule(root=str(root), good=options.get("good", ("good",)), defective=options.get("defective", ()))
    data.setup()
    return data


@pytest.mark.parametrize(
    "folder",
    [
        *(
            "mask_dir",
            "mask_dir/scratch",
            "binary_masks",
            "gt_masks",
            "labels_png",
            "pixel_labels",
            "truth",
            "test_mask",
        ),
        *("scratch_masks", "masks_scratch", "Scratch-Mask", "scratch_gt", "masks/scratch_masks", "annotation files"),
    ],
)
def test_a_folder_of_masks_is_no_class_whatever_it_is_called(tmp_path: Path, folder: str) -> None:
    root = usual(tmp_path)
    for index in range(4):
        draw(root / folder / f"{index:03}.png", mask=True)
    data = read(root)
    assert set(data.samples["defect"]) == {"", "scratch"}
    masks = data.samples["mask_path"][data.samples["label_index"] == 1]
    assert [int(read_mask(path).sum()) for path in masks] == [192] * 4


@pytest.mark.parametrize("folder", ["Masken", "weird", "bw"])
def test_a_class_that_looks_like_masks_is_asked_for(tmp_path: Path, folder: str) -> None:
    root = usual(tmp_path)
    for index in range(4):
        draw(root / folder / f"{index:03}.png", mask=True)
    with pytest.raises(DataError, match=rf"found 4 that look like masks; rename .* data\.defective=\['{folder}'\]"):
        read(root)
    assert (read(root, defective=(folder,)).samples["defect"] == folder).sum() == 4
    (root / folder).rename(root / "masks")
    assert (read(root).samples["mask_path"] != "").sum() == 4


def test_where_all_images_have_few_values_none_is_taken_for_masks(tmp_path: Path) -> None:
    for name in ("good", "scratch"):
        for index in range(4):
            draw(tmp_path / name / f"{index:03}.png", mask=True)
    assert len(read(tmp_path).samples) == 8


def test_photographs_are_no_masks_whatever_their_folder_is_called(tmp_path: Path) -> None:
    root = usual(tmp_path)
    for index in range(4):
        draw(root / "label" / f"{index:03}.png")
    with pytest.raises(DataError, match=r"found 4 that look like photographs; set data\.defective=\['label'\]"):
        read(root)
    assert (read(root, defective=("label",)).samples["defect"] == "label").sum() == 4


@pytest.mark.parametrize("sigma", [0.0, 1.0, 3.0])
def test_a_softened_mask_is_no_photograph(tmp_path: Path, sigma: float) -> None:
    mask = cv2.imread(str(draw(tmp_path / "mask.png", mask=True)), cv2.IMREAD_GRAYSCALE)
    assert mask is not None
    soft = mask if sigma == 0 else cv2.GaussianBlur(mask, (0, 0), sigma)
    cv2.imwrite(str(tmp_path / "soft.png"), soft)
    assert not are_photographs([tmp_path / "soft.png"])
    assert not are_masks([draw(tmp_path / "photograph.png")])


@pytest.mark.parametrize(
    "name",
    [
        *("accepted", "healthy", "intact", "defect-free lot", "MT_Free", "no_crack", "non-defective", "positive"),
        *("without_defect", "undamaged", "no hole", "IO"),
    ],
)
def test_a_word_for_good_beside_good_is_asked_for(tmp_path: Path, name: str) -> None:
    root = usual(tmp_path)
    draw(root / name / "000.png")
    with pytest.raises(DataError, match="which may be either"):
        read(root)
    assert (read(root, good=("good", name)).samples["label_index"] == 0).sum() == 9


@pytest.mark.parametrize("name", ["no defect", "No-Defect", "NO_DEFECT", "defect free"])
def test_spaces_and_hyphens_make_no_other_class(tmp_path: Path, name: str) -> None:
    data = FolderDataModule(root=str(usual(tmp_path, name)))
    data.setup()
    assert (data.samples["label_index"] == 0).sum() == 8


def test_classes_may_lie_in_a_folder_of_images(tmp_path: Path) -> None:
    root = usual(tmp_path / "Data" / "Images")
    for index in range(4):
        draw(tmp_path / "Data" / "Masks" / "scratch" / f"{index:03}.png", mask=True)
    with pytest.raises(DataError, match=r"or set data\.root=\S+/Data, which holds such folders itself"):
        read(tmp_path)
    data = read(root.parent)
    assert data.samples["label_index"].value_counts().to_dict() == {0: 8, 1: 4}
    assert (data.samples["mask_path"] != "").sum() == 4


def test_two_claims_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    root = usual(tmp_path)
    for folder in ("masks", "ground_truth"):
        draw(root / folder / "scratch" / "000.png", mask=True)
    data = read(root)
    assert data.remarks == []
    assert "ground_truth/scratch/000.png and masks/scratch/000.png" in data.excluded["problem"][0]
