"""Staggered rows: in a hexagonal array every second row, or column, is shifted by half a pitch.

The two shortest steps of such an array are oblique, so that its cells, numbered by them, lie in a parallelogram.
Numbered along straight rows and columns they fill a rectangle.

Letters: N votes, L lines (rows or columns).
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]

CLEARLY = 1.1  # times as full as the plain numbering: only then lines are staggered
EDGE = 0.6  # of the usual number of cells in a line: fewer are not one of the array


class Stagger(NamedTuple):
    """How lines are shifted.

    Attributes:
        axis: Whose lines: 1 rows, 0 columns; -1: none are.
        step: By how much a line of odd number lies farther along than one of even number, in cells: 0.5 or -0.5.
        odd: 1 where the first line counts as odd.
    """

    axis: int = -1
    step: float = 0.0
    odd: int = 0

    def shift(self, index_N2: Index) -> Floats:
        """Return by how much cells of these columns and rows lie farther along, (N, 2), in cells."""
        shift_N2 = np.zeros(index_N2.shape, dtype=np.float64)
        if self.axis >= 0:
            shift_N2[:, 1 - self.axis] = self.step * ((index_N2[:, self.axis] + self.odd) % 2)
        return shift_N2

    def counted_from(self, first_2: Index) -> Stagger:
        """Return the same where column and row are counted from others."""
        return self if self.axis < 0 else self._replace(odd=int(self.odd + first_2[self.axis]) % 2)


def straighten_index(index_N2: Index) -> tuple[Index, Stagger]:
    """Number cells along straight rows and columns, where they fill a rectangle better so.

    One line on, a cell of an oblique numbering lies half a cell farther along; every second line is therefore counted
    from one cell earlier or later.

    Args:
        index_N2: Column and row of every cell, by the two shortest steps.
    """
    best, chosen, most = index_N2, Stagger(), CLEARLY * fullness(index_N2)
    for axis, sign, odd in product((1, 0), (1, -1), (0, 1)):
        straight = index_N2.copy()
        straight[:, 1 - axis] += sign * ((index_N2[:, axis] + odd) // 2)
        if (full := fullness(straight)) > most:
            best, chosen, most = straight, Stagger(axis, 0.5 * sign, odd), full
    return best, chosen


def fullness(index_N2: Index) -> float:
    """Return the share of the places of a rectangle that hold a cell, rows and columns with few cells left out."""
    inner_N2 = index_N2
    for axis in (0, 1):
        line, count = np.unique(inner_N2[:, axis], return_counts=True)
        inner_N2 = inner_N2[np.isin(inner_N2[:, axis], line[count >= EDGE * np.median(count)])]
    if not len(inner_N2):
        return 0.0
    columns, rows = np.ptp(inner_N2, axis=0) + 1
    # What was left out counts against a numbering: a parallelogram is full once its corners are cut off.
    return float(len(inner_N2) ** 2 / (columns * rows * len(index_N2)))
