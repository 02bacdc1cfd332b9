"""``loupe predict line=meta_atom``: from files to tables and pages, without a trained run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import pandas as pd
import pytest

from datamodules.synthetic import meta_atom
from datamodules.synthetic.drawing import Identity
from tools.predict import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    for group in (0, 1):
        for slot in range(20):
            drawing = meta_atom.draw(Identity(7, "meta_atom", group, slot), 64, "missing" if slot == 8 else None, 0.9)
            path = tmp_path / "arrays" / f"a{group}" / f"a{group}_{slot // 5 + 1},{slot % 5 + 1}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), drawing.image)
    return tmp_path / "arrays"


def test_arrays_are_sorted_to_a_table_and_pages(
    arrays: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["line=meta_atom", f"source={arrays}", f"out={out}", "mode=seed"]) == 0
    cells = pd.read_csv(out / "cells.csv")
    assert list(cells.columns[:7]) == ["array", "row", "col", "x", "y", "class", "score"]
    missing = cells[cells["class"] == "Missing"]
    assert list(zip(missing["array"], missing["row"], missing["col"], strict=True)) == [("a0", 2, 4), ("a1", 2, 4)]
    assert (missing["score"] >= 1).all()
    assert {"likeness", "half_shift", "anisotropy", "circularity", "rotation_ssim_mean", "rank"} <= set(cells.columns)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["counts"]["Missing"] == 2
    assert [layer["name"] for layer in summary["arrays"]["a0"]["layers"]] == [
        "Missing",
        "Collapsed",
        "Stitching",
        "Irregular",
    ]
    assert "by the notebook" in capsys.readouterr().out
    page = (out / "arrays" / "a0.html").read_text()
    assert page.count("data-cell=") > 60
    assert "http" not in page.replace("http-equiv", "")
    assert "arrays/a1.html" in (out / "index.html").read_text()


def test_what_cannot_be_sorted_is_named_and_the_rest_goes_on(
    arrays: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (arrays / "broken.png").write_bytes(b"no image")
    command = ["line=meta_atom", f"source={arrays}", "page=false", "features=false"]
    assert main([*command, f"out={tmp_path / 'out'}"]) == 1
    assert "1 files could not be" in capsys.readouterr().err
    assert pd.read_csv(tmp_path / "out" / "errors.csv")["path"].str.endswith("broken.png").all()
    assert len(pd.read_csv(tmp_path / "out" / "cells.csv")) == 40
    assert main([*command, f"out={tmp_path / 'again'}", "errors=ok"]) == 0
    assert main([*command, f"out={tmp_path / 'out'}"]) == 2
    assert "a new or empty folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["line=meta_atm", "source=x"], "No line named 'meta_atm'; did you mean 'meta_atom'?"),
        (["line=meta_atom", "source=nowhere"], "found none at nowhere"),
        (["line=meta_atom", "source=x", "rankng=lof"], "did you mean"),
        (["line=meta_atom", "source=x", "grid=[1,2]"], "grid to be [rows,columns]"),
        (["line=meta_atom"], "Expected a value for source"),
    ],
)
def test_a_wrong_command_is_told_in_one_sentence(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, *([f"out={tmp_path / 'out'}"] if "source=nowhere" in words else [])]) != 0
    assert said in capsys.readouterr().err
