"""Defects of an instance model: every instance that counts is one, whatever it touches.

Letters: H and W height and width of the model's image.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.samples.detections import EMPTY

from .image_scale import SAME_SCALE, ImageScale
from .measured import Defect, DefectRules, FoundDefects, find_defects

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from datamodules.samples.detections import Instance


def find_instances(
    instances: Sequence[Instance],
    map_HW: npt.NDArray[np.floating[Any]],
    rules: DefectRules,
    scale: ImageScale = SAME_SCALE,
    zones_HW: npt.NDArray[np.uint8] | None = None,
    kind: str = "",
    good_peaks: Sequence[float] = (),
) -> FoundDefects:
    """Measure instances as defects; ``rules.merge_gap`` merges none of them, and the pieces of one are one.

    Args:
        instances: Those that count.
        map_HW: As in ``find_defects``, like all others.
        rules: The same.
        scale: The same.
        zones_HW: The same.
        kind: The same.
        good_peaks: The same.
    """
    label_HW = np.zeros(map_HW.shape, np.int32)
    found: list[tuple[Defect, Instance]] = []
    for one in instances:
        if one.region == EMPTY:
            continue
        around = float(np.hypot(one.mask.shape[0] * scale.y, one.mask.shape[1] * scale.x)) + 1
        zones_hw = None if zones_HW is None else zones_HW[one.region.slices]
        alone = replace(rules, merge_gap=around)
        about = (scale._replace(left=0.0, top=0.0), zones_hw, kind, good_peaks)
        found += [(_moved(defect, one, scale), one) for defect in _measured(one, map_HW, alone, about)]
    order = sorted(range(len(found)), key=lambda index: (found[index][0].top, found[index][0].left))
    defects = []
    for number, index in enumerate(order, start=1):
        defect, one = found[index]
        defects.append(replace(defect, defect=number))
        label_HW[one.region.slices][one.mask] = number
    return FoundDefects(defects, label_HW)


def _measured(
    one: Instance, map_HW: npt.NDArray[np.floating[Any]], rules: DefectRules, about: tuple[Any, ...]
) -> list[Defect]:
    return find_defects(one.mask, map_HW[one.region.slices], rules, *about).defects


def _moved(defect: Defect, one: Instance, scale: ImageScale) -> Defect:
    """Give places in pixels of the image, not of the crop."""
    across, down = one.region.left * scale.x + scale.left, one.region.top * scale.y + scale.top
    return replace(defect, x=defect.x + across, y=defect.y + down, left=defect.left + across, top=defect.top + down)
