"""Instances as defects: two that touch are two, the pieces of one are one, and what does not count is not there."""

from __future__ import annotations

import numpy as np
import pytest

from callbacks.defects.from_instances import find_instances
from callbacks.defects.image_scale import ImageScale
from callbacks.defects.measured import DefectRules, find_defects
from datamodules.outlines.classes import DEFECT, PART
from datamodules.samples.detections import Instance, Region, counted, trim, union

SIZE = (60, 80)


def instance(*boxes: tuple[int, int, int, int], score: float = 0.9, label: int = DEFECT) -> Instance:
    mask = np.zeros(SIZE, np.bool_)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = True
    crop, region = trim(mask, Region(0, 0, *SIZE))
    return Instance((0.0, 0.0, 1.0, 1.0), label, score, region, crop, Region(0, 0, *SIZE))


def test_touching_instances_are_two_and_pieces_of_one_are_one() -> None:
    first, second, third = (
        instance((5, 5, 15, 20)),
        instance((5, 20, 15, 40)),
        instance((40, 1, 44, 5), (50, 60, 54, 64)),
    )
    map_HW = union([first, second, third], SIZE).astype(np.float32)
    found = find_instances([third, second, first], map_HW, DefectRules())
    assert [(one.left, one.top, one.area) for one in found.defects] == [(5, 5, 150), (20, 5, 200), (1, 40, 32)]
    assert [one.fragments for one in found.defects] == [1, 1, 2]
    assert len(find_defects(map_HW > 0, map_HW, DefectRules()).defects) == 3, "as regions, others are one"
    assert found.label_HW[10, 10] == 1
    assert found.label_HW[10, 30] == 2


def test_one_alone_is_measured_as_its_region_is() -> None:
    one = instance((12, 30, 25, 48))
    generator = np.random.default_rng(1)
    map_HW = generator.random(SIZE).astype(np.float32)
    zones = np.repeat([[1, 2]], SIZE[0], axis=0).repeat(40, axis=1).astype(np.uint8)
    about = (
        DefectRules(severity=({"name": "large", "min_area": 10},)),
        ImageScale(2.0, 1.5, 0.5),
        zones,
        "",
        [0.2, 0.9],
    )
    alone = find_instances([one], map_HW, *about).defects
    assert alone == find_defects(union([one], SIZE), map_HW, *about).defects


def test_small_ones_are_left_out_and_nothing_is_nothing() -> None:
    map_HW = np.zeros(SIZE, np.float32)
    assert find_instances([instance((1, 1, 3, 3))], map_HW, DefectRules(min_area=5)).defects == []
    assert find_instances([], map_HW, DefectRules()).defects == []


@pytest.mark.parametrize(("threshold", "expected"), [(0.0, [0.4, 0.9]), (0.4, [0.4, 0.9]), (0.41, [0.9])])
def test_the_part_itself_and_a_score_of_nothing_do_not_count(threshold: float, expected: list[float]) -> None:
    found = [instance((0, 0, 9, 9), score=score) for score in (0.0, 0.4, 0.9)]
    found.append(instance((0, 0, 50, 50), score=1.0, label=PART))
    assert [one.score for one in counted(found, float(np.float32(threshold)))] == expected
