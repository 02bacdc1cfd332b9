"""Tables of labels: rows that name nothing and images without a row are said; a table of which nothing fits stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.fiber import FiberDataModule
from datamodules.meta_atom import MetaAtomDataModule
from datamodules.print3d import Print3dDataModule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from datamodules.base import InspectionDataModule


def save(root: Path, names: Sequence[str]) -> None:
    rng = np.random.default_rng(4)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / name), rng.integers(0, 255, (16, 16), dtype=np.uint8))


def put(root: Path, *lines: str) -> None:
    (root / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def said(data: InspectionDataModule) -> list[str]:
    _, problems = data.sample_table()
    assert all(problem.remedy for problem in problems)
    return [problem.problem for problem in problems]


def test_a_layer_named_wrongly_is_said(tmp_path: Path) -> None:
    save(tmp_path, [f"build/{index}.png" for index in range(4)])
    put(tmp_path, "image,label", r"build\0.png,defective", "build/1x.png,defective", "build/9.png,good")
    data = Print3dDataModule(root=str(tmp_path))
    assert said(data) == ["names build/1x.png, which is not there", "names build/9.png, which is not there"]


def test_a_table_of_which_nothing_fits_stops(tmp_path: Path) -> None:
    save(tmp_path, [f"build/{index}.png" for index in range(4)])
    put(tmp_path, "image,label", "0.png,defective", "1.png,defective", "2.png,good")
    with pytest.raises(DataError, match=r"none of its 3 names is there \(0\.png, 1\.png, \.\.\.\); write them as"):
        Print3dDataModule(root=str(tmp_path)).sample_table()


def test_tiles_named_wrongly_are_said(tmp_path: Path) -> None:
    save(tmp_path, [f"a/a_{row},{col}.png" for row in (1, 2) for col in (1, 2)])
    rows = (
        '"a_1,1.png",missing',
        '"a_7,7.png",missing',
        '"b_1,1.png",missing',
        '"b_1,2.png",good',
        "photo.png,missing",
    )
    put(tmp_path, "image,class", *rows)
    data = MetaAtomDataModule(root=str(tmp_path), blocks=2)
    assert said(data) == [
        "names 'photo.png', which is not a tile by its name",
        "names 1 cells of a that no image shows, such as row 7, column 7",
        "names 2 cells of b that no image shows, such as row 1, column 1",
    ]


def test_label_files_that_are_not_read_are_said(tmp_path: Path) -> None:
    save(tmp_path, [f"{index}.png" for index in range(4)])
    put(tmp_path, "image,label", "0.png,good", "1.png,defective")
    (tmp_path / "2.xml").write_text("<annotation><object/></annotation>")
    (tmp_path / "notes.txt").write_text("two fibers, on Monday")
    found = said(FiberDataModule(root=str(tmp_path)))
    assert found == ["is a label file of Pascal VOC (XML), which is not read", *["is not named in labels.csv"] * 2]
