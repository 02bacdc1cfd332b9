"""The types of defects that lie on a map: each is what the instance model called whatever it found there.

Letters: H and W pixels, D defects.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from datamodules.samples.detections import EMPTY, class_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datamodules.samples.detections import Detections

    from .measured import FoundDefects


def name_defects(found: FoundDefects, detections: Detections, classes: Sequence[str]) -> FoundDefects:
    """Give each defect the type of the detection that shares most pixels with it, the surest of equals.

    Args:
        found: Defects of an image, with their pixels.
        detections: Of the same image, from the surest, in pixels of the same size.
        classes: Names of their labels, from label 1; an empty one is not a defect.
    """
    if not classes or not found.defects:
        return found
    most_D = np.zeros(len(found.defects) + 1, dtype=np.int64)
    type_D = [""] * len(most_D)
    for one in detections:
        name = class_of(one.label, classes)
        if not name or one.region == EMPTY:
            continue
        shared_D = np.bincount(found.label_HW[one.region.slices][one.mask], minlength=len(most_D))
        for number in np.flatnonzero(shared_D > most_D).tolist():
            most_D[number], type_D[number] = shared_D[number], name
    return found._replace(defects=[replace(defect, predicted_type=type_D[defect.defect]) for defect in found.defects])
