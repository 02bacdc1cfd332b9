"""Masks beside their images, and masks that match none, in data of fibers and of metallography."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import pytest

from datamodules.fiber import FiberDataModule
from datamodules.folder import FolderDataModule
from datamodules.masks.reading import read_mask
from datamodules.metallography import MetallographyDataModule

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from datamodules.base import InspectionDataModule

BOTH = (("s", "good"), ("t", "defective"))


def draw(path: Path, mark: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(list(str(path).encode())).integers(60, 180, (128, 128)).astype(np.uint8)
    if mark is not None:
        values = np.zeros((128, 128), np.uint8)
        values[20:32, 20:36] = mark
    assert cv2.imwrite(str(path), values)


@pytest.mark.parametrize("name", ["{}_mask.png", "{}-GT.bmp", "mask_{}.png"])
@pytest.mark.parametrize("labelled", [True, False])
def test_masks_beside_fibers_are_no_images(tmp_path: Path, name: str, *, labelled: bool) -> None:
    for index in range(9):
        draw(tmp_path / f"face{index}.png")
        if index > 5:
            draw(tmp_path / name.format(f"face{index}"), 255)
    lines = [f"face{index}.png,{'good' if index < 6 else 'defective'}" for index in range(9)]
    if labelled:
        (tmp_path / "labels.csv").write_text("\n".join(["image,label", *lines]), encoding="utf-8")
    rows, problems = FiberDataModule(root=str(tmp_path)).sample_table()
    if not labelled:  # nobody said whether the marked ones are defective: a contradiction that is named
        assert len(rows) == 6
        assert all("is called unknown, but its mask" in problem.problem for problem in problems)
        return
    assert problems == []
    assert [int(read_mask(path).sum()) for path in rows["mask_path"] if path] == [192] * 3


@pytest.mark.parametrize("name", ["{}_mask.png", "{}-GT.bmp", "mask_{}.png"])
def test_masks_beside_micrographs_are_no_images(tmp_path: Path, name: str) -> None:
    for index in range(6):
        draw(tmp_path / "images" / f"s{index}-a.png")
        draw(tmp_path / "images" / name.format(f"s{index}-a"), 255 * (index % 2))
    rows, problems = MetallographyDataModule(root=str(tmp_path)).sample_table()
    assert problems == []
    assert rows["label_index"].tolist() == [0, 1, 0, 1, 0, 1]


def test_where_no_mask_matches_a_micrograph_the_first_line_says_so(tmp_path: Path) -> None:
    for index in range(6):
        draw(tmp_path / "images" / f"s{index}-a.png")
        draw(tmp_path / "masks" / f"other{index}.png", 255)
    data = MetallographyDataModule(root=str(tmp_path))
    rows, problems = data.sample_table()
    assert (rows["label_index"] == -1).all()
    assert len(problems) == 6
    assert len(data.remarks) == 1
    assert "None of the 6 masks belongs to an image, for example masks/other0.png and images/s0-a" in data.remarks[0]


@pytest.mark.parametrize("make", [FolderDataModule, FiberDataModule, MetallographyDataModule])
def test_names_with_bars_keep_their_masks(tmp_path: Path, make: type[InspectionDataModule]) -> None:
    root, folder = tmp_path / "lot 1 | 2", {FolderDataModule: "scratch", FiberDataModule: ""}.get(make, "images")
    for index in range(9):
        draw(root / ("good" if make is FolderDataModule else folder) / f"s{index} | a.png")
        draw(root / folder / f"t{index} | b.png")
        for part in ("_1", "_2") if make is FolderDataModule else ("",):
            draw(root / "masks" / f"t{index} | b_mask{part}.png", 255)
    lines = [f"{kind}{index} | {'ab'[kind == 't']}.png,{label}" for index in range(9) for kind, label in BOTH]
    if make is FiberDataModule:
        (root / "labels.csv").write_text("\n".join(["image,label", *lines]), encoding="utf-8")
    data = make(root=str(root), image_size=(64, 64))
    data.setup()
    assert data.excluded.empty
    marked = data.samples[data.samples["label_index"] == 1].reset_index(drop=True)
    assert len(marked) == 9
    dataset = data.dataset(marked)
    assert all(int(cast("Tensor", dataset[index].mask).sum()) == 48 for index in range(9))
