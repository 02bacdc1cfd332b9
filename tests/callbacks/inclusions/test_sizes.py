"""Sizes and ratings of inclusions, against counts by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from callbacks.inclusions.rating import ELONGATED, FIELD_UM, ROUND, SERIES, SILICATE, STRINGER, e45_like, severity
from callbacks.inclusions.sizes import size_distribution
from callbacks.inclusions.stringers import stringers_of, working_axis
from datamodules.files.object_table import object_table

if TYPE_CHECKING:
    from callbacks.inclusions.rating import Series
    from datamodules.files.objects import Labels


def test_sizes_by_hand() -> None:
    found = size_distribution(np.array([np.pi, 4 * np.pi, 9 * np.pi]), (100, 200), um_per_pixel=2.0)
    assert found["count"] == 3
    assert found["area_fraction"] == pytest.approx(14 * np.pi / 20_000)
    assert found["per_mm2"] == pytest.approx(3 / 0.08)
    assert [found[name] for name in ("mean", "median", "largest")] == pytest.approx([8, 8, 12])
    assert found["classes"] == [[4.0, 8.0, 1], [8.0, 16.0, 2]]
    assert size_distribution(np.zeros(0), (10, 10)) == {"count": 0, "area_fraction": 0.0}


@pytest.mark.parametrize("kind", SERIES)
def test_severities_begin_at_the_limits_of_the_table(kind: Series) -> None:
    steps = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert [severity(kind, limit) for limit in kind.limits] == steps
    assert [severity(kind, limit - 0.1) for limit in kind.limits] == [0.0, *steps[:-1]]
    assert severity(kind, 10 * kind.limits[-1]) == 3.0  # and all above


def test_limits_are_those_that_the_standards_share() -> None:
    assert [severity(ELONGATED, length) for length in (130, 500, 900)] == [1.0, 2.0, 3.0]
    assert [severity(STRINGER, length) for length in (16, 80, 345)] == [0.0, 1.0, 2.0]
    assert [severity(SILICATE, length) for length in (18, 175, 320)] == [0.5, 1.0, 2.0]
    assert [severity(ROUND, number) for number in (0, 3, 8, 15, 16)] == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_the_worst_field_counts() -> None:
    label_HW = np.zeros((720, 1440), np.int32)  # two fields of 707 pixels at 1 um
    number = 2
    for place in range(4):  # four discs of 5 um in the first field
        label_HW[100:105, 100 + 50 * place : 105 + 50 * place] = (number := number + 1)
    label_HW[300:303, 100:240] = number + 1  # 140 um long, 3 um wide
    label_HW[300:303, 800:840] = number + 2  # 40 um long, in the second
    label_HW[500:530, 900:930] = number + 3  # 30 um across
    found = e45_like(object_table(label_HW), label_HW.shape, 1.0)
    assert found == {
        "fields": 2,
        "axis": None,
        "globular_thin": 1.0,
        "globular_heavy": 0.0,
        "elongated_thin": 1.0,
        "elongated_heavy": 0.0,
        "elongated_as_silicates_thin": 1.0,
        "elongated_as_silicates_heavy": 0.0,
        "stringers_thin": 0.0,
        "stringers_heavy": 0.0,
        "worst": {
            "globular_thin": 4.0,
            "globular_heavy": 0.0,
            "elongated_thin": pytest.approx(140, abs=1.5),
            "elongated_heavy": 0.0,
            "elongated_as_silicates_thin": pytest.approx(140, abs=1.5),
            "elongated_as_silicates_heavy": 0.0,
            "stringers_thin": 0.0,
            "stringers_heavy": 0.0,
        },
        "oversized": 1,
    }
    assert e45_like(object_table(label_HW), label_HW.shape, FIELD_UM / 2000) is None


def fragments(label_HW: Labels, places: list[tuple[int, int]], side: int = 6) -> None:
    """Draw squares at (x, y), numbered on."""
    for number, (x, y) in enumerate(places, int(label_HW.max()) + 1):
        label_HW[y : y + side, x : x + side] = number


def test_fragments_in_a_row_are_one_stringer() -> None:
    label_HW = np.zeros((720, 720), np.int32)  # 1 um
    fragments(label_HW, [(100, 100), (140, 110), (180, 100), (220, 104)])  # 126 um from end to end, 34 um apart
    fragments(label_HW, [(400, 300), (440, 300)])  # only two
    fragments(label_HW, [(100, 500), (150, 500), (200, 500)])  # 44 um apart
    fragments(label_HW, [(400, 500), (420, 520), (440, 540)])  # 20 um aside
    table = object_table(label_HW)
    found = e45_like(table, label_HW.shape, 1.0, axis=0.0)
    assert found is not None
    assert (found["stringers_thin"], found["stringers_heavy"], found["globular_thin"]) == (1.0, 0.0, 1.0)  # 8 are left
    (row,) = stringers_of(table, np.ones(len(table), bool), 0.0, 1.0)
    assert (row.length, row.x) == pytest.approx((126, 162.5), abs=1)
    across = e45_like(table, label_HW.shape, 1.0, axis=90.0)
    assert across is not None
    assert across["stringers_thin"] == 0.0
    assert e45_like(table, label_HW.shape, 1.0) == across | {"axis": None}


@pytest.mark.parametrize("axis", [0.0, 30.0, 90.0, 172.0])
def test_the_axis_of_working_is_that_of_the_elongated(axis: float) -> None:
    map_HW = np.zeros((720, 720), np.uint8)
    way = np.array([np.cos(np.radians(axis)), np.sin(np.radians(axis))])
    for x, y in ((200, 200), (500, 200), (200, 500), (500, 500)):
        ends = [(round(x + s * way[0]), round(y + s * way[1])) for s in (-60, 60)]
        cv2.line(map_HW, ends[0], ends[1], 255, 3)
    for place in (-36, 0, 36):
        cv2.circle(map_HW, (round(350 + place * way[0]), round(350 + place * way[1])), 4, 255, -1)
    label_HW = np.asarray(cv2.connectedComponents(map_HW)[1], np.int32)
    table = object_table(label_HW)
    found = working_axis(table)
    assert found is not None
    assert abs((found - axis + 90) % 180 - 90) < 1.5
    rating = e45_like(table, label_HW.shape, 1.0)
    assert rating is not None
    assert rating["stringers_thin"] == 1.0  # 81 um


def test_crossed_inclusions_have_no_axis() -> None:
    label_HW = np.zeros((200, 200), np.int32)
    for number, row in enumerate((20, 60, 100), 1):
        label_HW[row : row + 3, 20:60] = number
        label_HW[20:60, 80 + row : 83 + row] = number + 3
    assert working_axis(object_table(label_HW)) is None
    assert working_axis(object_table(np.zeros((20, 20), np.int32))) is None
