"""Folders named train, val and test in trees of every kind: a split, or a first line that says that they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import pytest

from datamodules.fiber import FiberDataModule
from datamodules.meta_atom import MetaAtomDataModule
from datamodules.metallography import MetallographyDataModule
from datamodules.oring import OringDataModule
from datamodules.print3d import Print3dDataModule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datamodules.base import InspectionDataModule

Fill: TypeAlias = "Callable[[Path], None]"
SPLITS = {"train": "train", "val": "calibration", "Test": "test"}


def draw(path: Path, *, marked: bool | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([*path.parent.name.encode(), *path.name.encode()])
    values = rng.integers(60, 180, (128, 128)).astype(np.uint8)
    if marked is not None:
        values = np.zeros((128, 128), np.uint8)
        values[20:32, 20:36] = 255 * marked
    assert cv2.imwrite(str(path), values)


def fill_fiber(root: Path) -> None:
    lines = ["image,label"]
    for split in SPLITS:
        for index in range(8):
            draw(root / split / "core_50um" / f"{split}{index}.png")
            lines.append(f"{split}/core_50um/{split}{index}.png,{'defective' if index > 5 else 'good'}")
    (root / "labels.csv").write_text("\n".join(lines), encoding="utf-8")


def fill_micrographs(root: Path) -> None:
    for split in SPLITS:
        for index in range(4):
            draw(root / split / "images" / f"{split}{index}-1.png")
            draw(root / split / "masks" / f"{split}{index}-1.png", marked=index % 2 == 1)


def fill_micrographs_inside(root: Path) -> None:
    for split in SPLITS:
        for index in range(4):
            draw(root / "images" / split / f"{split}{index}-1.png")
            draw(root / "masks" / split / f"{split}{index}-1.png", marked=index % 2 == 1)


def fill_rings(root: Path) -> None:
    for split in SPLITS:
        for index in range(4):
            draw(root / split / "model1good" / f"{split}{index}.png")
            draw(root / split / "model1defect" / f"{split}{index}d.png")


def fill_bare_rings(root: Path) -> None:
    for split in SPLITS:
        for index in range(4):
            draw(root / split / "good" / f"{split}{index}.png")
            draw(root / split / "defect" / f"{split}{index}d.png")


def fill_layers(root: Path) -> None:
    for split in SPLITS:
        for index in range(4):
            draw(root / split / "No_Defect" / f"{split}{index}.png")
            draw(root / split / "Defect" / f"{split}{index}d.png")


ALL = [
    (FiberDataModule, fill_fiber, "core_50um"),
    (MetallographyDataModule, fill_micrographs, ""),
    (MetallographyDataModule, fill_micrographs_inside, ""),
    (OringDataModule, fill_rings, "model1"),
    (OringDataModule, fill_bare_rings, "model2"),
    (Print3dDataModule, fill_layers, ""),
]


@pytest.mark.parametrize(("make", "fill", "kind"), ALL)
def test_folders_are_the_split_and_no_kind(
    tmp_path: Path, make: type[InspectionDataModule], fill: Fill, kind: str
) -> None:
    fill(tmp_path)
    data = make(root=str(tmp_path))
    data.setup()
    assert data.excluded.empty
    said = data.samples["name"].str.extract(r"\b(train|val|Test)/")[0].map(SPLITS)
    assert (data.samples["split"] == said).all()
    assert data.samples["kind"].unique().tolist() == [kind]
    assert set(data.samples["label_index"]) == {0, 1}
    assert data.remarks == []


@pytest.mark.parametrize(("make", "fill", "kind"), ALL)
def test_where_some_lie_outside_the_first_line_says_so(
    tmp_path: Path,
    make: type[InspectionDataModule],
    fill: Fill,
    kind: str,
) -> None:
    del kind
    fill(tmp_path)
    place = {FiberDataModule: "", MetallographyDataModule: "images", Print3dDataModule: "No_Defect"}
    folder = tmp_path / place.get(make, "model1good" if fill is fill_rings else "good")
    if make is MetallographyDataModule and fill is fill_micrographs:
        folder = tmp_path
    draw(folder / "zz.png")
    if make is FiberDataModule:
        with (tmp_path / "labels.csv").open("a", encoding="utf-8") as file:
            file.write("\nzz.png,good")
    data = make(root=str(tmp_path))
    rows, _ = data.sample_table()
    assert not rows["split"].any()
    (said,) = data.remarks
    assert "train/ and " in said or "Test/ and " in said
    assert "are not read as a split, since 1 of" in said
    assert "zz.png" in said


def test_a_table_goes_before_its_folders(tmp_path: Path) -> None:
    fill_fiber(tmp_path)
    table = (tmp_path / "labels.csv").read_text(encoding="utf-8").splitlines()
    lines = [
        f"{table[0]},split",
        *(f"{line},{'test' if index % 2 else 'train'}" for index, line in enumerate(table[1:])),
    ]
    (tmp_path / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    rows, _ = FiberDataModule(root=str(tmp_path)).sample_table()
    assert set(rows["split"]) == {"train", "test"}
    assert (rows["split"] == "test").sum() == 12


def test_one_such_folder_is_no_split(tmp_path: Path) -> None:
    for index in range(4):
        draw(tmp_path / "test" / f"{index}.png")
    data = FiberDataModule(root=str(tmp_path))
    rows, _ = data.sample_table()
    assert not rows["split"].any()
    assert rows["kind"].unique().tolist() == ["test"]


def test_arrays_are_split_by_arrays_and_it_is_said(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for row in range(1, 5):
            draw(tmp_path / split / f"{split}_{row},1.bmp")
    data = MetaAtomDataModule(root=str(tmp_path), blocks=2)
    rows, _ = data.sample_table()
    assert not rows["split"].any()
    assert data.remarks[0].endswith("are not read as a split: arrays are; name those of the test in data.test_arrays.")
