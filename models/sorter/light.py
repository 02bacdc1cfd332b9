"""Light and ground: grey values of cells relative to the ground between the pillars.

Letters: N cells, S side of a cell in pixels, R and C rows and columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .alignment import radius_grid

Floats = npt.NDArray[np.floating]
Plane = npt.NDArray[np.float32]

GROUND_QUANTILE = 0.9  # of a cell's grey values: the ground between the pillars, or where pillars are brighter, they
GROUND_RING, RING_WIDTH = 0.39, 0.04  # of a cell's side: no pillar reaches so far, and no neighbour begins so near
LARGEST_TILT = 0.1  # of the light, from the middle of a tile to its border
ENOUGH = 201  # cells of which a median is taken


class Relief(NamedTuple):
    """Cells relative to the ground between the pillars.

    Attributes:
        cell_NSS: 0 is the ground; -0.3 is darker than the ground by three tenths of the light.
        depth: How far black lies below the ground: 1 where the ground is what is bright, less where pillars are.
        dark_ground: Whether pillars are brighter than the ground, as an electron microscope shows them.
    """

    cell_NSS: Plane
    depth: float
    dark_ground: bool


def shared_relief(grey_NSS: Plane, shape: tuple[int, int]) -> Relief:
    """Return cells of one picture relative to their ground; NaN where there is no cell.

    They share its light: ground and light are medians over 5 x 5 cells of the darkest and the brightest tenth of a
    cell, so that a hole does not count as more light.

    Args:
        grey_NSS: Grey values, row by row.
        shape: Rows and columns.
    """
    present_N = np.isfinite(grey_NSS[:, 0, 0])
    dark = has_dark_ground(typical(grey_NSS[present_N]))
    ends = (GROUND_QUANTILE, 1 - GROUND_QUANTILE) if dark else (GROUND_QUANTILE,)
    level_KN = np.full((len(ends), len(grey_NSS)), np.nan)
    level_KN[:, present_N] = np.quantile(grey_NSS[present_N].reshape(int(present_N.sum()), -1), ends, axis=1)
    smooth_KN = np.stack([around(level_N.reshape(shape), np.nanmedian, reach=2).ravel() for level_N in level_KN])
    light_N, ground_N = np.maximum(smooth_KN[0], 1e-3), smooth_KN[-1]
    own = (grey_NSS - ground_N[:, None, None]) / light_N[:, None, None]
    return Relief(np.asarray(own, dtype=np.float32), float(np.nanmedian(ground_N / light_N)), dark)


def own_relief(grey_NSS: Plane) -> Relief:
    """Return tiles, which may have been lit one by one, each relative to a plane through its corners."""
    own = np.asarray(grey_NSS / np.maximum(corner_plane(grey_NSS), 1e-3) - 1, dtype=np.float32)
    return Relief(own, 1.0, has_dark_ground(typical(grey_NSS[np.isfinite(grey_NSS[:, 0, 0])])))


def typical(cell_NSS: Plane) -> Plane:
    """Return the median cell, of ``ENOUGH`` spread evenly where there are more."""
    chosen = np.linspace(0, len(cell_NSS) - 1, min(ENOUGH, len(cell_NSS))).astype(int)
    return np.asarray(np.median(cell_NSS[chosen], axis=0), dtype=np.float32)


def has_dark_ground(typical_SS: Floats) -> bool:
    """Tell whether what lies around the pillar of the typical cell is nearer to its dark end than to its bright one."""
    around_it = typical_SS[np.abs(radius_grid(typical_SS.shape[0]) / typical_SS.shape[0] - GROUND_RING) < RING_WIDTH]
    low, high = np.quantile(typical_SS, (1 - GROUND_QUANTILE, GROUND_QUANTILE))
    return bool(np.median(around_it) < (low + high) / 2)


def corner_plane(grey_NSS: Plane) -> Floats:
    """Return the light of every tile, (N, S, S), from its four corners: their median level and their mean slopes."""
    side = grey_NSS.shape[1]
    part = max(side // 5, 3)
    near, far = slice(0, part), slice(side - part, side)
    corners = [(near, near), (near, far), (far, near), (far, far)]
    level_N4 = np.stack([np.median(grey_NSS[:, y, x].reshape(len(grey_NSS), -1), axis=1) for y, x in corners], axis=1)
    level_N = np.median(level_N4, axis=1)
    most_N = LARGEST_TILT * level_N
    right_N = np.clip((level_N4[:, [1, 3]] - level_N4[:, [0, 2]]).mean(axis=1), -most_N, most_N)
    down_N = np.clip((level_N4[:, [2, 3]] - level_N4[:, [0, 1]]).mean(axis=1), -most_N, most_N)
    axis_S = (np.arange(side) - (side - 1) / 2) / (side - part)
    plane: Floats = level_N[:, None, None] + right_N[:, None, None] * axis_S + down_N[:, None, None] * axis_S[:, None]
    return plane


def around(value_RC: Floats, reduce: object, reach: int = 1) -> Floats:
    """Reduce the (2 reach + 1)^2 cells around every cell, itself included, beyond the edges and over NaN none.

    Args:
        value_RC: One value per cell; NaN where there is none.
        reduce: ``np.nanmedian`` or ``np.nanmean``.
        reach: Cells to each side.
    """
    if not callable(reduce):
        raise TypeError("Expected reduce to be a function such as np.nanmedian.")
    padded = np.pad(value_RC.astype(np.float64), reach, constant_values=np.nan)
    side = 2 * reach + 1
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side)).reshape(*value_RC.shape, side * side)
    empty_RC = np.asarray(~np.isfinite(windows).any(axis=2))
    filled = np.where(empty_RC[..., None], 0.0, windows)
    return np.where(empty_RC, np.nan, reduce(filled, axis=2))
