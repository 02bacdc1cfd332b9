"""How well predicted marks lie on the true ones: Dice, and the F1 of boundaries within a few pixels.

Thin marks, such as grain boundaries of three pixels, lose a third of their Dice where they are drawn one pixel off;
whether a boundary was found at all is told by its F1 within a tolerance.

Letters: H and W pixels, N images, G groups, B resamples.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from .bootstrap import Estimate, Resampling, group_weights, interval
from .curves import FloatArray, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

Mask = npt.NDArray[np.bool_]
TOLERANCE = 2.0  # pixels
_RESAMPLES_PER_CHUNK = 256


class BoundaryCounts(NamedTuple):
    """Pixels of predicted and true boundaries, and how many of them lie within the tolerance of the other."""

    predicted: int
    predicted_hit: int
    true: int
    true_hit: int


class _Image(NamedTuple):
    group: str
    dice: float
    counts: BoundaryCounts


def dice(predicted_HW: Mask, true_HW: Mask) -> float:
    """Twice the shared pixels by the pixels of both, in [0, 1]; NaN where both are empty.

    Source: Dice, "Measures of the amount of ecologic association between species", Ecology 26, 1945.
    """
    both = int(predicted_HW.sum()) + int(true_HW.sum())
    return 2 * int((predicted_HW & true_HW).sum()) / both if both else float("nan")


def boundary(mask_HW: Mask, width: float = TOLERANCE) -> Mask:
    """Return the marked pixels that are no further than ``width`` from an unmarked one: (H, W).

    A line of up to twice that width is its own boundary. The border of the image is not.

    Source: the inner band of Cheng et al., "Boundary IoU", CVPR 2021.
    """
    if mask_HW.all():
        return np.zeros_like(mask_HW)
    return mask_HW & (_distance_to(~mask_HW) <= width)


def boundary_counts(predicted_HW: Mask, true_HW: Mask, tolerance: float = TOLERANCE) -> BoundaryCounts:
    """Count boundary pixels of both masks, and those within ``tolerance`` pixels of the other's boundary."""
    near = _about(predicted_HW | true_HW, tolerance)
    predicted_HW, true_HW = predicted_HW[near], true_HW[near]
    predicted, true = boundary(predicted_HW, tolerance), boundary(true_HW, tolerance)
    predicted_hit = int((_distance_to(true)[predicted] <= tolerance).sum()) if true.any() else 0
    true_hit = int((_distance_to(predicted)[true] <= tolerance).sum()) if predicted.any() else 0
    return BoundaryCounts(int(predicted.sum()), predicted_hit, int(true.sum()), true_hit)


def boundary_f1(counts: npt.ArrayLike) -> FloatArray:
    """F1 from counts (..., 4) in the order of `BoundaryCounts`; NaN where there is no true boundary.

    The harmonic mean of the shares of predicted and of true boundary pixels that lie within the tolerance.

    Source: Csurka, Larlus and Perronnin, "What is a good evaluation measure for semantic segmentation?", BMVC 2013.
    """
    predicted, predicted_hit, true, true_hit = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    recall = ratio(true_hit, true)
    precision = np.nan_to_num(ratio(predicted_hit, predicted))
    return np.where(np.isnan(recall), np.nan, np.nan_to_num(ratio(2 * precision * recall, precision + recall)))


class OverlapMeter:
    """Collects images whose truth is known, and judges their masks.

    Args:
        tolerance: Of boundaries, in pixels of the model's image.
    """

    def __init__(self, tolerance: float = TOLERANCE) -> None:
        self.tolerance = tolerance
        self._images: list[_Image] = []

    def update(self, predicted_NHW: npt.ArrayLike, true_NHW: npt.ArrayLike, group_N: Sequence[str]) -> None:
        """Add images: predicted and true masks (N, H, W), and the names of their groups."""
        pairs = zip(np.asarray(predicted_NHW, dtype=bool), np.asarray(true_NHW, dtype=bool), group_N, strict=True)
        for predicted_HW, true_HW, group in pairs:
            if predicted_HW.any() or true_HW.any():
                overlap = dice(predicted_HW, true_HW) if true_HW.any() else float("nan")
                counts = boundary_counts(predicted_HW, true_HW, self.tolerance)
                self._images.append(_Image(group, overlap, counts))

    def estimates(self, resampling: Resampling) -> dict[str, Estimate]:
        """Judge all images: ``pixel_dice``, the mean over marked images, and ``boundary_f1``, over all pixels.

        Boundaries drawn on images without marks count against ``boundary_f1``. Intervals draw whole groups.
        """
        groups = sorted({image.group for image in self._images})
        place = {group: index for index, group in enumerate(groups)}
        count_G4, dice_G, marked_G = np.zeros((len(groups), 4)), np.zeros(len(groups)), np.zeros(len(groups))
        for image in self._images:
            index = place[image.group]
            count_G4[index] += image.counts
            if not np.isnan(image.dice):
                dice_G[index] += image.dice
                marked_G[index] += 1
        carrying = int((marked_G > 0).sum())
        if not carrying:
            return {}
        weights = group_weights(marked_G > 0, resampling, _RESAMPLES_PER_CHUNK)
        resampled = [
            (ratio(weight_BG @ dice_G, weight_BG @ marked_G), boundary_f1(weight_BG @ count_G4))
            for weight_BG in weights
        ]
        dice_B, boundary_B = (np.concatenate(parts) for parts in zip(*resampled, strict=True))
        dice_all, boundary_all = dice_G.sum() / marked_G.sum(), float(boundary_f1(count_G4.sum(axis=0)))
        return {
            "pixel_dice": interval(float(dice_all), dice_B, carrying, resampling.confidence),
            "boundary_f1": interval(boundary_all, boundary_B, carrying, resampling.confidence),
        }


def _about(mask_HW: Mask, width: float) -> tuple[slice, slice]:
    """Return the rows and columns that hold all marked pixels, and all within ``width`` pixels of them."""
    more = math.ceil(width) + 1
    places = [np.flatnonzero(mask_HW.any(axis=axis)) for axis in (1, 0)]
    first_last = [(int(place[0]), int(place[-1])) if place.size else (0, 0) for place in places]
    rows, columns = (slice(max(0, first - more), last + more + 1) for first, last in first_last)
    return rows, columns


def _distance_to(mask_HW: Mask) -> npt.NDArray[np.float32]:
    """Distance of every pixel to the nearest marked one, in pixels; there must be one."""
    away = cv2.distanceTransform((~mask_HW).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away, dtype=np.float32)
