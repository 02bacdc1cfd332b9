"""The keys by which areas of anomalous inclusions are ordered: fifteen, as in MLography.

Letters: M members of an area.

Source: MLography, area_anomaly.py (update_clusters_score).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .gaps import Floats, gaps

if TYPE_CHECKING:
    from collections.abc import Sequence

NONE = -1.0  # a quotient by a diameter of nothing
FINAL = "weighted_area2_sum_mult_diameter_mult_amount"  # the key of the recommendation
IN_MAP = "weighted_area_sum_mult_diameter_mult_amount"  # the key of MLography's own colours within a map
KEYS = (
    *("median", "mean", "sum", "amount", "areas_sum", "diameter"),
    *("amount_div_diameter", "amount_mult_diameter", "sum_div_diameter"),
    *("area_sum_div_diameter", "area_sum_mult_diameter"),
    *("weighted_area_sum_mult_diameter", IN_MAP),
    *("weighted_area2_sum_mult_diameter", FINAL),
)


def order_keys(members: Sequence[int], box_N4: Floats, area_N: Floats, score_N: Floats) -> dict[str, float]:
    """Return the keys of an area.

    ``sum``, ``mean`` and ``median`` are of the members' scores, ``areas_sum`` of their areas in pixels, ``amount`` is
    their number, ``diameter`` the largest gap between two of their boxes in pixels; ``weighted_area`` is score times
    area, ``weighted_area2`` score times squared area. Where the diameter is 0, as that of a single member, quotients
    and the product of amount and diameter are -1, and the products with areas 0: as in MLography.

    Args:
        members: Indices; one that comes twice counts twice.
        box_N4: Boxes of all inclusions as ``gaps.boxes_of`` returns them.
        area_N: Their areas.
        score_N: Their combined anomaly.
    """
    index = np.asarray(members, np.intp)
    score_M, size_M = score_N[index], area_N[index].astype(np.float64)
    amount, total, areas = len(index), float(score_M.sum()), float(size_M.sum())
    diameter = largest_gap(box_N4[index])
    weighted, weighted2 = float(score_M @ size_M) * diameter, float(score_M @ size_M**2) * diameter
    values = (
        *(float(np.median(score_M)), float(score_M.mean()), total, amount, areas, diameter),
        *((amount / diameter, amount * diameter, total / diameter) if diameter else (NONE, NONE, NONE)),
        *(areas / diameter if diameter else NONE, areas * diameter),
        *(weighted, weighted * amount, weighted2, weighted2 * amount),
    )
    return dict(zip(KEYS, values, strict=True))


def largest_gap(box_M4: Floats, rows: int = 512) -> float:
    """Return the largest distance between two boxes, in pixels; 0 for a single one."""
    return max(float(gaps(box_M4[start : start + rows], box_M4).max()) for start in range(0, len(box_M4), rows))
