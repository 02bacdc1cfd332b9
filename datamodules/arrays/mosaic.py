"""Tiles of one image, laid together again: where neighbours show the same pixels, the image is known.

Tiles cut at equal fractions of an image, larger than their pitch, overlap; their pillars drift from the middle. Laid
together they give the image back, and with it the true lattice.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from datamodules.files.images import Array  # noqa: TC001 - a NamedTuple reads its annotations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MIN_OVERLAP = 4  # pixels
SAME = 0.5  # grey levels of 255: overlaps of one image are equal, whatever was saved without loss
WITNESSES = 5  # pairs of tiles that tell the step between two rows or columns
MIN_TILES = 3  # rows and columns


class Mosaic(NamedTuple):
    """Tiles laid together.

    Attributes:
        image: (H, W) or (H, W, 3), as stored.
        top: Of every row of tiles, in pixels of the image.
        left: Of every column.
    """

    image: Array
    top: list[int]
    left: list[int]

    def window(self, tiles: Mapping[tuple[int, int], Array], row: int, column: int) -> tuple[int, int, int, int]:
        """Return x and y of the first and the last corner of a tile in the image."""
        x, y = self.left[column - 1], self.top[row - 1]
        height, width = tiles[row, column].shape[:2]
        return x, y, x + width, y + height


def lay_together(tiles: Mapping[tuple[int, int], Array]) -> Mosaic | None:
    """Return the image that tiles were cut from; None where they do not overlap, or are not all there.

    Args:
        tiles: By row and column, counted from one: (H, W) or (H, W, 3), each of any size.
    """
    rows, columns = (max(place[axis] for place in tiles) for axis in (0, 1))
    complete = len(tiles) == rows * columns and min(rows, columns) >= MIN_TILES
    if not complete or len({(tile.dtype, tile.ndim) for tile in tiles.values()}) > 1:
        return None
    top = _starts([[tiles[row, column] for row in range(1, rows + 1)] for column in _witnesses(columns)])
    left = _starts(
        [[tiles[row, column].swapaxes(0, 1) for column in range(1, columns + 1)] for row in _witnesses(rows)]
    )
    if top is None or left is None:
        return None
    last = tiles[rows, columns]
    image = np.zeros((top[-1] + last.shape[0], left[-1] + last.shape[1], *last.shape[2:]), last.dtype)
    for (row, column), tile in sorted(tiles.items()):
        y, x = top[row - 1], left[column - 1]
        room = image[y : y + tile.shape[0], x : x + tile.shape[1]]
        room[:] = tile[: room.shape[0], : room.shape[1]]
    return Mosaic(image, top, left)


def _witnesses(count: int) -> list[int]:
    """Choose some rows or columns, spread evenly, counted from one."""
    return sorted({int(place) for place in np.linspace(1, count, min(WITNESSES, count)).round()})


def _starts(strips: Sequence[Sequence[Array]]) -> list[int] | None:
    """Return where each tile of a strip begins, all strips agreeing; None where they do not overlap."""
    starts = [0]
    for pairs in zip(*(pairwise(strip) for strip in strips), strict=True):
        step = _step(pairs)
        if step is None:
            return None
        starts.append(starts[-1] + step)
    return starts


def _step(pairs: Sequence[tuple[Array, Array]]) -> int | None:
    """Return by how many rows the second of every pair lies below the first; None where no step fits all."""
    length = min(len(first) for first, _ in pairs)
    depth = 255.0 / float(np.iinfo(pairs[0][0].dtype).max) if pairs[0][0].dtype.kind == "u" else 255.0
    best: tuple[float, int] | None = None
    for step in range(max(length // 2, 1), length - MIN_OVERLAP + 1):
        error = max(_difference(first, second, step) for first, second in pairs) * depth
        if error < SAME and (best is None or error < best[0]):
            best = (error, step)
    return None if best is None else best[1]


def _difference(first: Array, second: Array, step: int) -> float:
    """Return the mean difference of two tiles where they overlap; infinite where their sizes forbid it."""
    overlap = len(first) - step
    width = min(first.shape[1], second.shape[1])
    if overlap > len(second):
        return float("inf")
    above = first[step:, :width].astype(np.float32)
    return float(np.abs(above - second[:overlap, :width].astype(np.float32)).mean())
