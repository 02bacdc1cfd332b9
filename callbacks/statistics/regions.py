"""Regions of masks, and the weight of each of their pixels in the per-region overlap.

The per-region overlap (PRO) at a threshold is the mean, over all regions, of the share of the region's pixels that are
called defective. So it is a weighted count of called defect pixels, where a pixel of region r weighs ``1 / |r|``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

REGION_UNIT = 1 << 44
"""The weight of a whole region. Pixel weights are whole parts of it, since sums of integers do not depend on their
order.

Half a million regions fit into int64, and a pixel of a region of 16 million pixels is still weighed to one part in a
million.
"""


def regions_of(mask_HW: npt.NDArray[np.bool_]) -> tuple[int, npt.NDArray[np.int32]]:
    """Number the regions of a mask from 1; returns one more than there are, and the number of every pixel, (H, W)."""
    number, region_HW = cv2.connectedComponents(mask_HW.astype(np.uint8), connectivity=8)
    return number, np.asarray(region_HW, dtype=np.int32)


def region_weights(mask_HW: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Weigh each defect pixel by one over the size of its region, in units of ``1 / REGION_UNIT``.

    Regions are connected components with 8 neighbours, as in the evaluation code of MVTec AD.

    Args:
        mask_HW: Where the ground truth is defective.

    Returns:
        (P,) the weights of the P defect pixels, row by row; those of one region sum to ``REGION_UNIT``, up to rounding.

    Source: Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 129, 2021, sec. 5.2.
    """
    _, region_HW, statistics, _ = cv2.connectedComponentsWithStats(mask_HW.astype(np.uint8), connectivity=8)
    area_R = statistics[:, cv2.CC_STAT_AREA].astype(np.int64)
    weight_R = (REGION_UNIT + area_R // 2) // np.maximum(area_R, 1)
    weight_P: npt.NDArray[np.int64] = weight_R[region_HW[mask_HW]]
    return weight_P
