"""Grains of large images, closed block by block, so that memory does not grow with the image.

A watershed depends on the basins around and on little else, so that blocks that overlap by several grains agree where
they do. Every block keeps the grains of its middle, and what two blocks found in one place becomes one grain.

Letters: H and W height and width of the image in pixels, h and w of a block, P pairs of grains.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from collections.abc import Callable

Values: TypeAlias = npt.NDArray[np.float32]
Grains: TypeAlias = npt.NDArray[np.int32]
Pairs: TypeAlias = npt.NDArray[np.int64]

BLOCK = 2048  # pixels: side of what a block keeps
MARGIN = 256  # pixels around it that it looks at, too
SEAM = 16  # pixels on both sides of where blocks meet, in which their grains are compared
SAME = 0.5  # intersection over union there from which two grains are one


def close_by_blocks(
    value_HW: Values, close: Callable[[Values], Grains], block: int = BLOCK, margin: int = MARGIN
) -> Grains:
    """Close the grains of an image block by block; return the number of the grain at every pixel, from 1.

    Args:
        value_HW: What ``close`` closes grains of.
        close: From a part of it to the number of the grain at every pixel of that, from 1.
        block: Side of what a block keeps, in pixels.
        margin: Pixels around it that it looks at, too: at least ``SEAM``, and more than grains are long.
    """
    grain_HW = np.zeros(value_HW.shape, np.int32)
    pairs = [np.zeros((0, 2), np.int64)]
    count = 0
    for top, left in product(*(range(0, length, block) for length in value_HW.shape)):
        first = max(0, top - margin), max(0, left - margin)
        found_hw = close(value_HW[first[0] : top + block + margin, first[1] : left + block + margin]) + np.int32(count)
        count = int(found_hw.max())
        rows, columns = slice(top, top + block), slice(left, left + block)
        seams = (_seam(top), columns), (rows, _seam(left))
        pairs += [same_grains(grain_HW[seam], _part(found_hw, seam, first)) for seam in seams]
        window = slice(top, top + block + SEAM), slice(left, left + block + SEAM)
        grain_HW[window] = _part(found_hw, window, first)
    return _joined(grain_HW, np.concatenate(pairs), count)


def same_grains(one_hw: Grains, other_hw: Grains) -> Pairs:
    """Return the numbers (P, 2) of the grains that lie on each other by ``SAME``; 0 is nothing in ``one_hw``."""
    there = one_hw > 0
    one_K, other_K = one_hw[there].astype(np.int64), other_hw[there].astype(np.int64)
    if not len(one_K):
        return np.zeros((0, 2), np.int64)
    area_one, area_other = np.bincount(one_K), np.bincount(other_K)
    code_P, met_P = np.unique(one_K * len(area_other) + other_K, return_counts=True)
    pair_P2 = np.stack(np.divmod(code_P, len(area_other)), axis=1)
    union_P = area_one[pair_P2[:, 0]] + area_other[pair_P2[:, 1]] - met_P
    return np.asarray(pair_P2[met_P >= SAME * union_P], np.int64)


def _seam(place: int) -> slice:
    """Return the pixels along an axis around the first of a block; none before the first block."""
    return slice(place - SEAM, place + SEAM) if place else slice(0, 0)


def _part(found_hw: Grains, where: tuple[slice, slice], first: tuple[int, int]) -> Grains:
    """Cut a part, in pixels of the image, out of a block that begins at ``first``."""
    rows, columns = (slice(one.start - start, one.stop - start) for one, start in zip(where, first, strict=True))
    return found_hw[rows, columns]


def _joined(grain_HW: Grains, pair_P2: Pairs, count: int) -> Grains:
    """Give grains that are one the same number, without gaps."""
    links = coo_array((np.ones(len(pair_P2), np.int32), (pair_P2[:, 0], pair_P2[:, 1])), shape=(count + 1, count + 1))
    _, group_G = connected_components(links, directed=False)
    there_G = np.bincount(group_G, np.bincount(grain_HW.ravel(), minlength=count + 1)) > 0
    number_G = np.cumsum(there_G).astype(np.int32)
    return np.asarray(number_G[group_G][grain_HW], np.int32)
