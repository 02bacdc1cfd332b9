"""Average precision under resampling: how far the value would move with other parts on the table.

COCO's evaluator gives one value. Its matches do not depend on other images, so each resample of groups only counts
them anew, which takes two cumulative sums.

Letters: D detections, T true instances, L limits, B resamples, G groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .curves import FloatArray

LIMITS = np.linspace(0.5, 0.95, 10)  # of the intersection over union
RECALLS = np.linspace(0, 1, 101)


class Ranking(NamedTuple):
    """All detections of one class, from the highest score.

    Attributes:
        group_D: Index of the group of each detection's image.
        right_LD: Whether it is right at each limit.
        truth_G: True instances in each group.
    """

    group_D: npt.NDArray[np.intp]
    right_LD: npt.NDArray[np.bool_]
    truth_G: FloatArray


def average_precision(ranking: Ranking, weight_BG: FloatArray) -> FloatArray:
    """Compute average precision per limit, where every group counts so many times: (B, L).

    The mean of the precision at 101 recalls, where precision is the highest at that recall or above, as pycocotools
    computes it.
    """
    truth_B = weight_BG @ ranking.truth_G
    weight_BD = weight_BG[:, ranking.group_D]
    seen_BD = weight_BD.cumsum(axis=1)
    result = np.zeros((len(weight_BG), len(ranking.right_LD)))
    for limit, right_D in enumerate(ranking.right_LD):
        right_BD = (weight_BD * right_D).cumsum(axis=1)
        precision_BD = right_BD / np.maximum(seen_BD, np.finfo(float).eps)
        best_BD = np.maximum.accumulate(precision_BD[:, ::-1], axis=1)[:, ::-1]
        for row, (right, best, truths) in enumerate(zip(right_BD, best_BD, truth_B, strict=True)):
            if truths == 0:
                result[row, limit] = np.nan
                continue
            at = np.searchsorted(right / truths, RECALLS, side="left")
            result[row, limit] = np.where(at < len(best), np.append(best, 0.0)[np.minimum(at, len(best))], 0.0).mean()
    return result


def match(iou_DT: FloatArray) -> npt.NDArray[np.bool_]:
    """Give every detection the free true instance that it overlaps most, if enough; by COCO's rule.

    Args:
        iou_DT: Intersection over union, the surest detection first.

    Returns:
        (L, D) whether a detection got one.
    """
    right_LD = np.zeros((len(LIMITS), len(iou_DT)), dtype=bool)
    for limit, overlap in enumerate(LIMITS):
        free_DT = iou_DT.copy()
        for detection, iou_T in enumerate(free_DT):
            best = len(iou_T) - 1 - int(np.argmax(iou_T[::-1]))  # of equals, the last, as pycocotools does
            if iou_T[best] >= min(overlap, 1 - 1e-10):
                right_LD[limit, detection] = True
                free_DT[:, best] = -1
    return right_LD
