"""From boundaries to closed grains.

A line with one gap joins the grains on both its sides, so that thresholding, thinning and filling what a network marks
gives grains five to thirty-five times too large. A watershed on its smoothed logits closes every gap where the ridge is
highest.

Letters: H and W height and width of the image in pixels.
"""

from __future__ import annotations

from functools import partial
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt
from skimage.measure import label
from skimage.morphology import h_minima, skeletonize
from skimage.segmentation import watershed

from .joining import BLOCK, MARGIN, close_by_blocks

Mask: TypeAlias = npt.NDArray[np.bool_]
Grains: TypeAlias = npt.NDArray[np.int32]

SIGMA = 1.0  # pixels by which logits are smoothed
DEPTH = 0.18  # of a basin, below which it is part of its neighbour, as a share of the span of the logits
SPAN = (5, 95)  # percentiles between which the logits' span is taken
SAMPLE = 1_000_000  # pixels that percentiles are taken of
NEAR = 3  # pixels within which a line and a boundary are the same


def grains_of_logits(logit_HW: npt.NDArray[np.float32], *, sigma: float = SIGMA, depth: float = DEPTH) -> Grains:
    """Close grains by a watershed on a network's logits; return the number of the grain at every pixel, from 1.

    Args:
        logit_HW: Higher where a boundary is likelier.
        sigma: Of the Gaussian that smoothes them, in pixels.
        depth: Basins less deep are joined with their neighbour: a share of the span of the smoothed logits, so that the
            scale of a network plays no part. Half of it cuts grains to pieces, twice of it joins them.

    Both were chosen on calibration scans of one network (three scans, 0.10 G off on average) and measured on others,
    see ``docs/metallography.md``. Images longer than 2,560 pixels are closed by blocks, see ``joining``.
    """
    smooth_HW = np.asarray(cv2.GaussianBlur(np.ascontiguousarray(logit_HW, np.float32), (0, 0), sigma), np.float32)
    stride = max(1, int((smooth_HW.size / SAMPLE) ** 0.5))
    low, high = np.percentile(smooth_HW[::stride, ::stride], SPAN)
    if high <= low:
        return np.ones(smooth_HW.shape, np.int32)
    close = partial(_flooded, depth=depth * float(high - low))
    if max(smooth_HW.shape) <= BLOCK + 2 * MARGIN:
        return close(smooth_HW)
    return close_by_blocks(smooth_HW, close)


def _flooded(smooth_HW: npt.NDArray[np.float32], depth: float) -> Grains:
    """Flood smoothed logits from all basins deeper than ``depth``."""
    basin_HW = label(h_minima(smooth_HW, depth), connectivity=2)  # type: ignore[no-untyped-call]  # the library has no annotations
    return np.asarray(watershed(smooth_HW, basin_HW), np.int32)  # type: ignore[no-untyped-call]  # the library has no annotations


def grains_of_lines(line_HW: Mask) -> Grains:
    """Fill the grains between drawn lines; return the number of the grain at every pixel, from 1.

    Pixels of lines go to the nearest grain. Lines must be closed: grains that a gap joins count as one.

    Args:
        line_HW: True on boundaries.
    """
    count, inside_HW = cv2.connectedComponents((~line_HW).astype(np.uint8), connectivity=4)
    if count == 1:
        return np.ones(line_HW.shape, np.int32)
    nearest = distance_transform_edt(line_HW, return_distances=False, return_indices=True)
    return np.asarray(inside_HW[tuple(nearest)], np.int32)


def rim_of_lines(line_HW: Mask) -> Mask:
    """Return the pixels of lines that the image's border cuts: nearer to the outside than to any grain.

    Whether the middle of such a line lies inside, the image does not tell; along a row it counts as half a boundary.
    """
    height, width = line_HW.shape
    row_H = np.minimum(np.arange(height), np.arange(height)[::-1]) + 1
    column_W = np.minimum(np.arange(width), np.arange(width)[::-1]) + 1
    outside_HW = np.minimum(row_H[:, None], column_W)
    if line_HW.all():
        return np.ones_like(line_HW)
    return np.asarray(line_HW & (outside_HW <= np.asarray(distance_transform_edt(line_HW))), np.bool_)


def boundaries_of(grain_HW: Grains) -> Mask:
    """Return the lines between grains, one pixel wide: the first pixel of a grain to the right or below another."""
    line_HW = np.zeros(grain_HW.shape, np.bool_)
    line_HW[:, 1:] |= grain_HW[:, 1:] != grain_HW[:, :-1]
    line_HW[1:] |= grain_HW[1:] != grain_HW[:-1]
    return _thinned(line_HW)


def _thinned(line_HW: Mask) -> Mask:
    return np.asarray(skeletonize(line_HW), np.bool_)  # type: ignore[no-untyped-call]  # the library has no annotations


def open_share(line_HW: Mask, grain_HW: Grains, boundary_HW: Mask | None = None) -> float:
    """Return the share of the marked lines that could not be closed: no boundary of a closed grain is near.

    Args:
        line_HW: What was marked, of any width.
        grain_HW: Closed grains.
        boundary_HW: Their ``boundaries_of``, where known already.
    """
    boundary_HW = boundaries_of(grain_HW) if boundary_HW is None else boundary_HW
    return _share_away(_thinned(line_HW), boundary_HW)


def bridged_share(line_HW: Mask, grain_HW: Grains, boundary_HW: Mask | None = None) -> float:
    """Return the share of the closed boundaries that nobody marked: gaps that were closed; arguments as above."""
    return _share_away(boundaries_of(grain_HW) if boundary_HW is None else boundary_HW, line_HW)


def _share_away(from_HW: Mask, to_HW: Mask) -> float:
    """Return the share of the pixels of one mask that are farther than ``NEAR`` from another; 0 where it has none."""
    if not from_HW.any():
        return 0.0
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * NEAR + 1, 2 * NEAR + 1))
    near_HW = cv2.dilate(to_HW.astype(np.uint8), disc) > 0
    return float((from_HW & ~near_HW).sum() / from_HW.sum())
