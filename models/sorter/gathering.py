"""From cells that arrive one by one, in any order, to arrays: by their names, or else by their groups.

Letters: N cells, S side of a cell in pixels.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from datamodules.arrays.naming import TILE

from .cells import ArrayCells
from .judging import MIN_CELLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Plane = npt.NDArray[np.float32]
REST = "rest"  # cells whose arrays are too small to say what is usual in them


class Cell(NamedTuple):
    """A cell on its way.

    Attributes:
        name: Of its image; ``ARRAY_ROW,COLUMN`` says where it belongs.
        group: Of its image.
        grey_SS: Grey values in [0, 1].
    """

    name: str
    group: str
    grey_SS: Plane


class Gathered(NamedTuple):
    """An array.

    Attributes:
        cells: Laid out by row and column.
        name_N: Of the cells, in the order in which they are sorted: row by row.
    """

    cells: ArrayCells
    name_N: list[str]


def gather(cells: Sequence[Cell]) -> list[Gathered]:
    """Lay cells out as arrays; those of arrays with too few cells make one of their own."""
    members: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        members[array_of(cell.name, cell.group)].append(cell)
    small = [key for key, own in members.items() if len(own) < MIN_CELLS]
    rest = [cell for key in small for cell in members.pop(key)]
    arrays = [lay_out(key, own) for key, own in sorted(members.items())]
    return [*arrays, *([lay_out(REST, rest, by_name=False)] if rest else [])]


def evenly(count: int, wanted: int) -> list[int]:
    """Choose so many of a row of things, spread evenly; all, where they are no more."""
    places: list[int] = np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int)).tolist()
    return places


def arrays_to_keep(names: Iterable[tuple[str, str]], wanted: int) -> set[str]:
    """Choose arrays, spread evenly over those that ``gather`` would give of enough cells.

    Args:
        names: Name and group of every cell that will come.
        wanted: How many arrays at most.

    Returns:
        What ``array_of`` says of their cells: several where those of small arrays make one.
    """
    counts = Counter(array_of(name, group) for name, group in names)
    small = {array for array, count in counts.items() if count < MIN_CELLS}
    arrays = [{array} for array in sorted(counts.keys() - small)]
    if sum(counts[array] for array in small) >= MIN_CELLS:
        arrays.append(small)
    return set().union(*(arrays[place] for place in evenly(len(arrays), wanted)))


def array_of(name: str, group: str) -> str:
    """Return the array of a cell: as its name says, or else its group."""
    path = PurePosixPath(name)
    match = TILE.match(path.name.rsplit(".", 1)[0] if path.suffix else path.name)
    return group if match is None else (path.parent / match["array"]).as_posix()


def place_of(cell: Cell) -> tuple[int, int] | None:
    """Return row and column of a cell, counted from one; None where its name does not say."""
    path = PurePosixPath(cell.name)
    match = TILE.match(path.stem) or TILE.match(path.name)
    return None if match is None else (int(match["row"]), int(match["col"]))


def lay_out(name: str, cells: Sequence[Cell], *, by_name: bool = True) -> Gathered:
    """Lay the cells of one array out by row and column, or where nobody knows these, in rows of about equal length."""
    known = [place_of(cell) for cell in cells]
    places = [place for place in known if place is not None]
    if not by_name or len(set(places)) < len(cells):
        width = math.ceil(math.sqrt(len(cells)))
        places = [(index // width + 1, index % width + 1) for index in range(len(cells))]
    first = min(row for row, _ in places), min(column for _, column in places)
    rows, columns = (max(place[axis] for place in places) - first[axis] + 1 for axis in (0, 1))
    grey_NSS = np.full((rows * columns, *cells[0].grey_SS.shape), np.nan, np.float32)
    name_of: dict[int, str] = {}
    for cell, (row, column) in zip(cells, places, strict=True):
        index = (row - first[0]) * columns + column - first[1]
        grey_NSS[index], name_of[index] = cell.grey_SS, cell.name
    laid = ArrayCells(name, grey_NSS, (rows, columns), np.full((rows * columns, 2), np.nan), first=first)
    return Gathered(laid, [name_of[index] for index in sorted(name_of)])
