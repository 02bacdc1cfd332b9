"""How far each detector is to be trusted: its agreement with what was found, learned over a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .ellipse import overlap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .detectors import Detection
    from .ellipse import Ellipse

# What a detector's word counts before any data set was learned on. Chosen by hand: on drawn images all five are right
# alike (``python -m benchmarks.fiber_zones``), but clusters and Hough's circles failed on other microscopes' images.
DEFAULT_WEIGHTS: dict[str, float] = {"voting": 1.0, "ransac": 0.9, "contours": 0.7, "hough": 0.6, "clusters": 0.6}
FEWEST = 8  # found faces from which weights are learned


def learn(detections: Sequence[Sequence[Detection]], found: Sequence[Ellipse | None]) -> dict[str, float]:
    """Return each detector's median overlap with what was found: 0 where it sees nothing, as often as it does so.

    Args:
        detections: Of every image.
        found: The cladding of every image, in the detections' pixels; None where none was found, which counts not.
    """
    overlaps: dict[str, list[float]] = {}
    for detection, cladding in zip(detections, found, strict=True):
        for one in detection if cladding is not None else ():
            agreement = 0.0 if one.cladding is None or cladding is None else overlap(one.cladding, cladding)
            overlaps.setdefault(one.method, []).append(agreement)
    return {method: float(np.median(values)) for method, values in overlaps.items()}


def as_weights(agreement: Mapping[str, float]) -> dict[str, float]:
    """Square agreements: a detector that is right half of the time can be wrong with others like it."""
    return {method: value**2 for method, value in agreement.items()}
