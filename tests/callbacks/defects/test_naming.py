"""Defects of a map take the type of the detection that they share most with."""

from __future__ import annotations

import numpy as np

from callbacks.defects.image_scale import SAME_SCALE
from callbacks.defects.measured import DefectRules, FoundDefects, find_defects
from callbacks.defects.naming import name_defects
from datamodules.samples.detections import Instance, Region, type_of

CLASSES = ("cut", "", "hole")
SIZE = (40, 60)


def instance(label: int, score: float, region: Region) -> Instance:
    box = (region.left, region.top, region.right, region.bottom)
    return Instance(box, label, score, region, np.ones(region.size, bool), Region(0, 0, *SIZE))


def found(*regions: Region) -> FoundDefects:
    mask_HW = np.zeros(SIZE, bool)
    for region in regions:
        mask_HW[region.slices] = True
    return find_defects(mask_HW, mask_HW.astype(np.float32), DefectRules(), SAME_SCALE, None, "", [])


ONE, OTHER = Region(2, 2, 12, 12), Region(20, 30, 30, 50)


def test_each_defect_has_the_type_that_covers_most_of_it() -> None:
    detections = [
        instance(1, 0.9, Region(2, 2, 12, 6)),
        instance(3, 0.5, Region(2, 6, 12, 12)),
        instance(2, 0.8, Region(0, 0, 40, 60)),  # the part
        instance(1, 0.4, OTHER),
    ]
    named = name_defects(found(ONE, OTHER), detections, CLASSES)
    assert {defect.area: defect.predicted_type for defect in named.defects} == {100: "hole", 200: "cut"}


def test_defects_that_no_detection_covers_have_no_type() -> None:
    named = name_defects(found(ONE, OTHER), [instance(3, 0.9, OTHER)], CLASSES)
    assert {defect.area: defect.predicted_type for defect in named.defects} == {100: "", 200: "hole"}


def test_models_that_tell_no_types_change_nothing() -> None:
    before = found(ONE)
    assert name_defects(before, [instance(1, 0.9, ONE)], ()) is before


def test_an_image_is_of_the_type_of_its_surest_defect() -> None:
    part, cut, hole = (instance(label, score, ONE) for label, score in ((2, 0.99), (1, 0.6), (3, 0.7)))
    assert type_of([part, cut, hole], CLASSES) == "hole"
    assert type_of([part], CLASSES) == ""
