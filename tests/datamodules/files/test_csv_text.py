"""CSV that reads back: every cell, whatever line ends, quotes and separators it holds; rows end with LF."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from datamodules.files.csv_text import csv_text
from datamodules.folder import FolderDataModule
from datamodules.table import read_table

PIECES = ["\r", "\n", "\r\n", '"', ",", ";", "a", "é", " ", "\t", "\x0b", "\x1c", "\x85", "\u2028", "=", "0", "NA", "'"]


def drawn(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    cells = ["".join(rng.choice(PIECES, rng.integers(1, 6))) for _ in range(40)]
    names = [f"{index}{cell}" for index, cell in enumerate(cells)]
    return pd.DataFrame(
        {"image_path": names, "name": names, "label_index": 0, "kind": cells, "group": cells[::-1], "brightness": 0.1}
    )


@pytest.mark.parametrize("seed", range(8))
def test_every_cell_reads_back_with_pandas_and_with_python(seed: int, tmp_path: Path) -> None:
    table = drawn(seed)
    text = csv_text(table)
    (tmp_path / "samples.csv").write_bytes(text.encode())
    read = read_table(tmp_path / "samples.csv")
    for column in ("image_path", "name", "kind", "group"):
        assert read[column].tolist() == table[column].tolist()
    assert [row["name"] for row in csv.DictReader(io.StringIO(text, newline=""))] == table["name"].tolist()


def test_plain_tables_are_written_as_pandas_does() -> None:
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y,z"], "c": [0.1, None]}, index=pd.Index([7, 8], name="i"))
    assert csv_text(table) == table.to_csv(index=False, lineterminator="\n")
    assert csv_text(table, index=True) == table.to_csv(lineterminator="\n")
    assert csv_text(pd.DataFrame()) == pd.DataFrame().to_csv(index=False, lineterminator="\n")


def test_names_that_are_no_text_are_left_out_by_a_name_that_can_be_written(tmp_path: Path) -> None:
    for index in range(14):
        assert cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((32, 32), 90 + index, np.uint8))
    folder = tmp_path / "set" / "good"
    folder.mkdir(parents=True)
    for path in tmp_path.glob("*.png"):
        path.rename(folder / f'=odd, "{path.name}')
    data = (folder / '=odd, "0.png').read_bytes()
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")).write_bytes(data)
    except OSError:
        pytest.skip("this file system takes no names but UTF-8")
    datamodule = FolderDataModule(root=str(tmp_path / "set"), image_size=(32, 32), num_workers=0)
    datamodule.setup()
    assert len(datamodule.samples) == 14
    (row,) = datamodule.excluded.to_dict("records")
    assert row["path"].endswith("caf\\xe9.png")
    assert "not UTF-8" in row["problem"]
    (tmp_path / "samples.csv").write_bytes(csv_text(datamodule.samples).encode())
    again = FolderDataModule(root=str(tmp_path / "set"), image_size=(32, 32), num_workers=0)
    again.use_samples(read_table(tmp_path / "samples.csv"))
    assert again.samples["name"].tolist() == datamodule.samples["name"].tolist()
    assert again.content_hash == datamodule.content_hash
