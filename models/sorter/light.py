"""Light and ground: grey values of cells relative to the ground between the pillars.

Letters: N cells, S side of a cell in pixels, R and C rows and columns.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.arrays.middle import median_cell, quantile

from .alignment import radius_grid
from .blocks import blocks

Floats = npt.NDArray[np.floating]
Plane = npt.NDArray[np.float32]

GROUND_QUANTILE = 0.9  # of a cell's grey values: the ground between the pillars, or where pillars are brighter, they
GROUND_RING, RING_WIDTH = 0.39, 0.04  # of a cell's side: no pillar reaches so far, and no neighbour begins so near
LARGEST_TILT = 0.1  # of the light, from the middle of a tile to its border
NOISE = 2.0  # pixels over which the noise of an electron microscope is averaged
ENOUGH_TO_BEND, ROUNDS = 30, 10  # cells over which light may bend, and rounds of fitting that
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
    """Return cells of one image relative to their ground; NaN where there is no cell.

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
    for block in blocks(len(grey_NSS)):
        shown_NSS = grey_NSS[block][present_N[block]]
        if not len(shown_NSS):
            continue
        if dark:  # whose darkest pixels are those of the noise
            shown_NSS = np.stack([cv2.GaussianBlur(cell, (0, 0), NOISE) for cell in shown_NSS])
        value_NP = shown_NSS.reshape(len(shown_NSS), -1)
        level_KN[:, block][:, present_N[block]] = [quantile(value_NP, end) for end in ends]
    smooth_KN = np.stack([evened(level_N.reshape(shape)).ravel() for level_N in level_KN])
    light_N, ground_N = np.maximum(smooth_KN[0], 1e-3), smooth_KN[-1]
    own_NSS = grey_NSS - ground_N.astype(np.float32)[:, None, None]
    own_NSS *= (1 / light_N).astype(np.float32)[:, None, None]
    return Relief(own_NSS, float(np.nanmedian(ground_N / light_N)), dark)


def evened(level_RC: Floats) -> Floats:
    """Return the light of every cell: what bends slowly over the array, and the median over 5 x 5 cells of the rest.

    At the array's edge a median alone would take the light of the cells further in. NaN where there is no cell.
    """
    rows, columns = (np.linspace(-1, 1, length) if length > 1 else np.zeros(1) for length in level_RC.shape)
    y_RC, x_RC = np.meshgrid(rows, columns, indexing="ij")
    terms = np.stack([np.ones_like(x_RC), x_RC, y_RC, x_RC**2, x_RC * y_RC, y_RC**2], axis=2)
    known_RC = np.isfinite(level_RC)
    if known_RC.sum() < ENOUGH_TO_BEND:
        return around(level_RC, np.nanmedian, reach=2)
    design_N6, level_N = terms[known_RC], level_RC[known_RC]
    weight_N = np.ones(len(level_N))
    for _ in range(ROUNDS):  # Geman-McClure: cells with holes, discs or dirt have no say
        root_N = np.sqrt(weight_N)
        bend_6 = np.linalg.lstsq(design_N6 * root_N[:, None], level_N * root_N, rcond=None)[0]
        away_N = level_N - design_N6 @ bend_6
        spread = max(3 * float(np.median(np.abs(away_N))), 1e-6)
        weight_N = 1 / (1 + (away_N / spread) ** 2) ** 2
    slow_RC = terms @ bend_6
    return np.asarray(slow_RC + around(level_RC - slow_RC, np.nanmedian, reach=2))


def own_relief(grey_NSS: Plane) -> Relief:
    """Return tiles, which may have been lit one by one, each relative to a plane through its corners."""
    own_NSS = np.empty_like(grey_NSS, dtype=np.float32)
    for block in blocks(len(grey_NSS)):
        own_NSS[block] = grey_NSS[block] / np.maximum(corner_plane(grey_NSS[block]), 1e-3) - 1
    return Relief(own_NSS, 1.0, has_dark_ground(typical(grey_NSS[np.isfinite(grey_NSS[:, 0, 0])])))


def typical(cell_NSS: Plane) -> Plane:
    """Return the median cell, of ``ENOUGH`` spread evenly where there are more."""
    return median_cell(cell_NSS, ENOUGH)


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
