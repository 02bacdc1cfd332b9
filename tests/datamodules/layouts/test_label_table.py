"""Tables of labels from any spreadsheet, and the files that they name in any spelling."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest

from datamodules.errors import DataError
from datamodules.layouts.label_table import FileIndex, read_labels

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_spreadsheets_table_is_read(tmp_path: Path, mark: str, delimiter: str, end: str) -> None:
    lines = ["Image,Label,kind", "a 1.png,good,x", "b.png,defective,"]
    text = mark + end.join(line.replace(",", delimiter) for line in lines) + end
    (tmp_path / "labels.csv").write_bytes(text.encode())
    table = read_labels(tmp_path / "labels.csv")
    assert table.to_dict("list") == {"image": ["a 1.png", "b.png"], "label": ["good", "defective"], "kind": ["x", ""]}


@pytest.mark.parametrize(
    "content", [b"image,label\na\0.png,good\n", b"\xff\xfei\0m\0", b"image,label\ncaf\xe9.png,good\n"]
)
def test_what_no_table_holds_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"Expected .*labels\.csv to be a table"):
        read_labels(tmp_path / "labels.csv")


def test_files_are_found_in_every_spelling(tmp_path: Path) -> None:
    paths = [tmp_path / "lot 1" / unicodedata.normalize("NFD", "Prüfling.PNG"), tmp_path / "b.png"]
    index = FileIndex(tmp_path, paths)
    for name in ("lot 1/Prüfling.PNG", "lot 1\\prüfling.png", "./LOT 1/Prüfling.PNG"):
        assert index.find(name) == paths[0]
    assert index.find("c.png") is None
    assert list(index.unused.values()) == [paths[1]]


def test_names_that_differ_in_case_alone_are_told_apart(tmp_path: Path) -> None:
    index = FileIndex(tmp_path, [tmp_path / "a.png", tmp_path / "A.png"])
    assert index.find("A.png") == tmp_path / "A.png"
    assert FileIndex(tmp_path, [tmp_path / "a.png", tmp_path / "A.png"]).find("Á.png") is None


@pytest.mark.parametrize(
    "content", ["image,label\ra.png,good\rb.png,defective\r", "image,label,\na.png,good,\nb.png,defective,\n"]
)
def test_line_ends_of_old_systems_and_empty_columns_are_no_matter(tmp_path: Path, content: str) -> None:
    (tmp_path / "labels.csv").write_text(content, encoding="utf-8", newline="")
    assert read_labels(tmp_path / "labels.csv")["label"].tolist() == ["good", "defective"]


@pytest.mark.parametrize("content", ["# mine\nimage,label\na.png,good\n", "image,label\na.png,good,x\nb.png,good,y\n"])
def test_cells_without_a_column_are_not_dropped_in_silence(tmp_path: Path, content: str) -> None:
    (tmp_path / "labels.csv").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="as many cells as the first"):
        read_labels(tmp_path / "labels.csv")
