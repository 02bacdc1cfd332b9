"""Two halves of one pillar, moved against each other: a seam too blurred, or too noisy, to show as a sharp line.

Of a cell that is out of form, everything to one side of a straight line is explained by the reference at one place, and
everything to the other side by the reference at another. What that leaves, against what the reference at one place
leaves, tells a seam from a pillar that is irregular.

Letters: N cells, S side of a cell, T side of a reduced one, in pixels, M places of the reference, L lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from .alignment import radius_grid

if TYPE_CHECKING:
    from .measures import Gauge, Spread

Floats = npt.NDArray[np.floating]
Plane = npt.NDArray[np.float32]

SIDE = 24  # T: halves are large, whatever the cell
REACH = 0.2  # of the side: how far a half may have moved
WINDOW, LARGEST = 1.6, 0.46  # of the pillar's radius, and of the side at most: what is looked at
MIDDLE = 0.7  # of the radius: how far from the middle the line may lie
PARTED = 0.29  # of what one place leaves: halves that leave no more have moved
WHOLE = 0.5  # halves that leave more have not
DOUBTED = 0.8  # of a sharp line's score where the halves have not moved, though the cell is out of form
STITCHING, IRREGULAR = 2, 3  # columns of scores


def distinguished(score_N4: Floats, aligned_NSS: Plane, gauge: Gauge, misfit: Spread) -> Floats:
    """Give cells that are out of form to the layer of seams where their halves have moved, and to it less where not.

    Args:
        score_N4: Of every layer, in parts of its limit.
        aligned_NSS: Relief with the pillar in the middle.
        gauge: Of the array.
        misfit: Of the array: what its good cells leave, as a logarithm.
    """
    out = np.flatnonzero(score_N4[:, IRREGULAR] >= 1)
    left_N = halves_leave(aligned_NSS[out], gauge, float(np.exp(2 * misfit.median)))
    seam_N, form_N = score_N4[out, STITCHING], score_N4[out, IRREGULAR]
    seam_N = np.where(left_N >= WHOLE, DOUBTED * np.maximum(seam_N, 0), seam_N)
    score_N4 = score_N4.copy()
    score_N4[out, STITCHING] = np.where(left_N <= PARTED, np.maximum(seam_N, form_N), seam_N)
    return score_N4


def halves_leave(aligned_NSS: Plane, gauge: Gauge, usual: float) -> Floats:
    """Return what two places of the reference leave of cells, in parts of what one place leaves, (N,).

    Args:
        aligned_NSS: Relief with the pillar in the middle.
        gauge: Of the array.
        usual: Mean square that the reference leaves of good cells, and that nothing explains.
    """
    ratio = SIDE / gauge.reference_SS.shape[0]
    reach = round(REACH * SIDE)
    around = np.pad(_reduced(gauge.reference_SS), reach, mode="reflect")
    places = np.lib.stride_tricks.sliding_window_view(around, (SIDE, SIDE)).reshape(-1, SIDE, SIDE)
    window_TT = radius_grid(SIDE) <= min(WINDOW * gauge.radius * ratio, LARGEST * SIDE)
    usual_sum = usual * float(window_TT.sum())
    middle, far = (SIDE - 1) / 2, MIDDLE * gauge.radius * ratio
    line_L = np.arange(max(int(middle - far), 1), min(int(np.ceil(middle + far)) + 1, SIDE))
    left = []
    for cell in aligned_NSS:
        square_MTT = np.square(_reduced(cell) - places) * window_TT
        one = float(square_MTT.sum(axis=(1, 2)).min())
        two = min(_best_halves(square_MTT.sum(axis=axis), line_L) for axis in (1, 2))
        left.append(max(two - usual_sum, 0.0) / max(one - usual_sum, 1e-9))
    return np.array(left, dtype=np.float64)


def _best_halves(sum_MT: Plane, line_L: npt.NDArray[np.intp]) -> float:
    """Return the least that two places leave, one on each side of a line, for sums along the line's direction."""
    before_MT = np.cumsum(sum_MT, axis=1)
    first_ML = before_MT[:, line_L - 1]
    return float((first_ML.min(axis=0) + (before_MT[:, -1:] - first_ML).min(axis=0)).min())


def _reduced(cell_SS: Plane) -> Plane:
    smooth = cv2.GaussianBlur(cell_SS, (0, 0), 1.0)
    how = cv2.INTER_AREA if cell_SS.shape[0] > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(smooth, (SIDE, SIDE), interpolation=how), dtype=np.float32)
