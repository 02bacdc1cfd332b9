"""A sheet of every cell of real arrays whose class is another than its label, to be looked at.

python -m benchmarks.meta_atom_sheet FOLDER SHEET.png

FOLDER holds arrays or their tiles, and ``labels.csv`` with ``array, row, col, class``. Cells stand in rows by label and
class, each with its array, row and column; grey values are stretched over each array. What was counted is printed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import pandas as pd

from callbacks.report.array_page import stretched
from models.sorter.sorting import sort_array
from tools.lines.meta_atom import MetaAtomLine, find_arrays

if TYPE_CHECKING:
    import numpy.typing as npt

    from datamodules.errors import UnreadableImageError

SIDE = 96  # pixels of a cell on the sheet
CAPTION = 18
ACROSS = 12


class Shown(NamedTuple):
    """A cell of the sheet: how label and class differ, where it is, and its grey values."""

    pair: str
    where: str
    cell_SS: npt.NDArray[np.uint8]


def compare(folder: Path) -> tuple[Counter[tuple[str, str]], list[Shown]]:
    """Sort the arrays of a folder; count cells by label and class, and gather those that differ."""
    labels = pd.read_csv(folder / "labels.csv", keep_default_na=False)
    problems: list[UnreadableImageError] = []
    counted: Counter[tuple[str, str]] = Counter()
    shown = []
    line = MetaAtomLine()
    for index, array in enumerate(find_arrays([str(folder)], problems)):
        found = sort_array(line.cells(array), features=False)
        cell_NSS = stretched(found.grey_NSS)
        table = found.table.merge(labels, on=["array", "row", "col"], how="left", suffixes=("", "_label"))
        for cell_SS, row in zip(cell_NSS, table.to_dict("records"), strict=True):
            pair = str(row["class_label"]).lower(), str(row["class"]).lower()
            counted[pair] += 1
            if pair[0] != pair[1]:
                shown.append(Shown(f"{pair[0]}, called {pair[1]}", f"{index + 1}: {row['row']},{row['col']}", cell_SS))
    return counted, sorted(shown, key=lambda one: one.pair)


def draw_sheet(shown: list[Shown]) -> npt.NDArray[np.uint8]:
    """Draw the cells, (H, W), a band for each way in which label and class differ."""
    bands = []
    for pair in dict.fromkeys(one.pair for one in shown):
        own = [one for one in shown if one.pair == pair]
        rows = -(-len(own) // ACROSS)
        band = np.full((CAPTION * 2 + rows * (SIDE + CAPTION), ACROSS * (SIDE + 4)), 255, np.uint8)
        cv2.putText(band, f"{pair}: {len(own)}", (2, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 0, 1, cv2.LINE_AA)
        for place, one in enumerate(own):
            top, left = CAPTION * 2 + place // ACROSS * (SIDE + CAPTION), place % ACROSS * (SIDE + 4)
            band[top : top + SIDE, left : left + SIDE] = cv2.resize(one.cell_SS, (SIDE, SIDE))
            where = (left + 2, top + SIDE + 13)
            cv2.putText(band, one.where, where, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 0, 1, cv2.LINE_AA)
        bands.append(band)
    return np.concatenate(bands) if bands else np.full((CAPTION, SIDE), 255, np.uint8)


def main() -> None:
    """Write the sheet, and print how many cells of every label got every class."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sheet", type=Path)
    given = parser.parse_args()
    counted, shown = compare(given.folder)
    for (label, found), count in sorted(counted.items()):
        print(f"{label:<12} called {found:<12} {count:>5}")
    cv2.imwrite(str(given.sheet), draw_sheet(shown))


if __name__ == "__main__":
    main()
