"""Sets of whole drawn arrays: drawn once, labelled as they were drawn, on any lattice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from datamodules.errors import DataError
from datamodules.files.images import read_image
from datamodules.synthetic.meta_atom_sets import DrawnArraysDataModule
from datamodules.table import DEFECTIVE, GOOD
from tools.train import main

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("missing", "collapsed", "stitching", "irregular")
SMALL: dict[str, Any] = {"grid": (6, 7), "pitch": 32, "arrays": 2, "clean": 1, "defective_classes": CLASSES}


def drawn(root: Path, **options: Any) -> DrawnArraysDataModule:
    return DrawnArraysDataModule(root=str(root), left_out_classes=(), **(SMALL | options))


@pytest.mark.parametrize(
    "options",
    [{}, {"lattice": "hexagonal", "angle": 5}, {"contrast": "sem", "aspect": 1.3}, {"seams": 1}],
    ids=["square", "hexagonal, turned", "oblong, electron microscope", "with a seam"],
)
def test_every_cell_of_a_lattice_becomes_a_sample_with_the_class_it_was_drawn_with(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    data = drawn(tmp_path, share=0.3, **options)
    rows, problems = data.sample_table()
    assert problems == []
    assert len(rows) == 3 * 6 * 7
    (folder,) = tmp_path.iterdir()
    labels = pd.read_csv(folder / "labels.csv")
    both = rows.merge(labels, on=["array", "row", "col"])
    assert (both["defect"].fillna("") == both["class"].where(both["class"] != "good", "")).all()
    assert ((both["label_index"] == DEFECTIVE) == (both["severity"] > 0)).all()
    assert (both.loc[both["array"] == "array_0002", "label_index"] == GOOD).all()
    assert (labels["severity"] > 0).sum() > 10
    image = read_image(folder / "array_0000.png")
    assert image.ndim == (2 if options.get("contrast") == "sem" else 3)
    mask = read_image(folder / "masks" / "array_0000.png")
    assert mask.shape == image.shape[:2]
    assert not (folder / "masks" / "array_0002.png").exists()


def test_severities_are_those_asked_for_and_a_class_may_be_left_out(tmp_path: Path) -> None:
    wanted = {"missing": (0.1, 0.2), "collapsed": (0.8, 0.9), "stitching": None}
    drawn(tmp_path, share=0.5, severity=wanted).sample_table()
    labels = pd.read_csv(next(tmp_path.glob("*/labels.csv")))
    found = labels[labels["class"] != "good"].groupby("class")["severity"]
    assert set(found.groups) == {"missing", "collapsed"}
    assert found.min()["missing"] >= 0.1
    assert found.max()["missing"] <= 0.2
    assert found.min()["collapsed"] >= 0.8


def test_arrays_are_drawn_once_and_again_where_the_setting_differs(tmp_path: Path) -> None:
    drawn(tmp_path).sample_table()
    (folder,) = tmp_path.iterdir()
    stamps = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    drawn(tmp_path, arrays=2, clean=1).sample_table()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")} == stamps
    drawn(tmp_path, pitch=36).sample_table()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"severity": {"mising": (0.1, 1)}}, "to name missing, collapsed, stitching, irregular, but found 'mising'"),
        ({"severity": {"missing": (0.9, 0.1)}}, r"severity\.missing to be \[least, most\]"),
        ({"arrays": 0, "clean": 0}, "one of them at least 1"),
        ({"share": 2.0}, "share to be 0 to 1"),
        ({"lattice": "round"}, "square or hexagonal"),
        ({"pitch": 4}, "at least 20 pixels"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        drawn(tmp_path, **options).sample_table()


def test_a_class_left_out_by_the_config_is_not_drawn(tmp_path: Path) -> None:
    words = ["data=drawn_arrays", "data.grid=[5,6]", "data.arrays=2", "data.clean=1", "data.share=0.3", "data.pitch=32"]
    words += ["data.severity.stitching=null", "model=layered", "trainer=cpu", "data.num_workers=0", "report=false"]
    assert main([*words, f"out={tmp_path}", "id=one"]) == 0
    labels = pd.read_csv(next(tmp_path.glob("drawn/*/labels.csv")))
    assert "stitching" not in set(labels["class"])
    assert len(set(labels["class"])) > 1
