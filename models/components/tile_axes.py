"""Where tiles lie along the axes of an image, and what their pixels count; needs no torch, so that bundles share it.

Letters: S side of a tile, H and W height and width of an image, L pixels along an axis.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Weights: TypeAlias = npt.NDArray[np.float32]
Place: TypeAlias = tuple[int, int]  # first row and first column of a tile; below 0 in the reflection

GRIDS = (32, 16, 8, 4, 2, 1)  # tiles start at multiples of the first that fits: most networks have strides up to 32


class Laid(NamedTuple):
    """Where tiles lie along one axis of an image.

    Attributes:
        starts: First pixel of each tile; negative ones lie in the reflection.
        weight_S: What each pixel of a tile counts in the blend.
    """

    starts: list[int]
    weight_S: Weights


def lay(length: int, size: int, overlap: float, rim: int) -> Laid:
    """Lay tiles along an axis of ``length`` pixels; a single one where it is long enough.

    Args:
        length: Of the axis.
        size: Side of the tiles.
        overlap: Share of the side that neighbours share at least.
        rim: Pixels at every side of a tile that are not used.
    """
    if length <= size:
        return Laid([0], np.ones(size, np.float32))
    inner = size - 2 * rim
    min_stride = inner - inner // 2  # or the flanks would meet
    stride = size - math.ceil(overlap * size)
    grid = next(grid for grid in GRIDS if stride - stride % grid >= min_stride)
    stride -= stride % grid
    flank = inner - stride
    before = math.ceil((rim + flank / 2) / grid) * grid
    reach = size - rim - flank // 2
    count = 1 + max(0, math.ceil((length + before - reach) / stride))
    return Laid([index * stride - before for index in range(count)], window(size, flank, rim))


def window(size: int, flank: int, margin: int) -> Weights:
    """Weigh the pixels of a tile, (S,): 0 in the margin, flanks of a Hann window, 1 between them.

    Two flanks that lie on each other add up to 1 at every pixel.
    """
    rise = np.square(np.sin(math.pi / 2 * (np.arange(flank) + 0.5) / max(flank, 1)))
    flat, rim = np.ones(size - 2 * (margin + flank)), np.zeros(margin)
    return np.concatenate([rim, rise, flat, rise[::-1], rim]).astype(np.float32)


def reflected(start: int, size: int, length: int) -> npt.NDArray[np.int64]:
    """Return which pixels of an axis of ``length`` a tile shows, (S,): beyond its ends the axis is reflected."""
    period = max(1, 2 * (length - 1))
    place = np.abs(np.arange(start, start + size)) % period
    return np.where(place < length, place, period - place)


def overlap(place: Place, size: int, shape: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the part of the image that a tile covers, and the same part of the tile."""
    first = [max(start, 0) for start in place]
    last = [min(start + size, length) for start, length in zip(place, shape, strict=True)]
    inside = slice(first[0], last[0]), slice(first[1], last[1])
    within = slice(first[0] - place[0], last[0] - place[0]), slice(first[1] - place[1], last[1] - place[1])
    return inside, within


def summed(laid: Laid, length: int) -> Weights:
    """Add up what the tiles along an axis weigh at every pixel, (L,)."""
    sum_L = np.zeros(length, np.float32)
    for start in laid.starts:
        first, last = max(start, 0), min(start + len(laid.weight_S), length)
        sum_L[first:last] += laid.weight_S[first - start : last - start]
    return sum_L
