"""Agreement of detectors that know nothing of each other: the group that most weight stands behind.

A detector's weight is how well it agreed with the consensus over a data set, squared (``weights.py``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .ellipse import Ellipse, overlap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .detectors import Detection

AGREE = 0.8  # intersection over union from which two circles are the same


class Group(NamedTuple):
    """Detections of one circle.

    Attributes:
        cladding: Their weighted median.
        methods: Who agrees.
        share: Weight of those who agree over the weight of all detectors, whether they found anything or not.
    """

    cladding: Ellipse
    methods: tuple[str, ...]
    share: float


def groups(detections: Sequence[Detection], weights: Mapping[str, float]) -> list[Group]:
    """Return the groups of detections that agree, the weightiest first; each circle is the heart of one at most."""
    total = sum(weights.get(found.method, 1.0) for found in detections)
    result: list[Group] = []
    for heart in detections:
        if heart.cladding is None:
            continue
        near = heart.cladding
        members = [found for found in detections if found.cladding and overlap(found.cladding, near) > AGREE]
        weight = [weights.get(found.method, 1.0) * max(found.confidence, 0.05) for found in members]
        share = sum(weights.get(found.method, 1.0) for found in members) / max(total, 1e-9)
        claddings = [found.cladding for found in members if found.cladding is not None]
        group = Group(_middle(claddings, weight), tuple(found.method for found in members), share)
        if all(overlap(group.cladding, other.cladding) <= AGREE for other in result if other.share >= share):
            result.append(group)
    return sorted(result, key=lambda group: -group.share)


def _middle(shapes: Sequence[Ellipse], weight: Sequence[float]) -> Ellipse:
    """Return the weighted median of every number of the ellipses."""
    cx, cy, radius, aspect, skew = (weighted_median(values, weight) for values in zip(*shapes, strict=True))
    return Ellipse(cx, cy, radius, aspect, skew)


def weighted_median(values: Sequence[float], weight: Sequence[float]) -> float:
    """Return the value with half of the weight on either side; between two where they share it evenly."""
    order = np.argsort(values)
    value, cumulated = np.asarray(values, dtype=float)[order], np.cumsum(np.asarray(weight, dtype=float)[order])
    half = cumulated[-1] / 2
    at = int(np.searchsorted(cumulated, half))
    if math.isclose(cumulated[at], half) and at + 1 < len(value):
        return float((value[at] + value[at + 1]) / 2)
    return float(value[at])
