"""Sizes and ratings of inclusions, against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from callbacks.inclusions.rating import ELONGATED, FIELD_UM, ROUND, e45_like, severity
from callbacks.inclusions.sizes import size_distribution
from datamodules.files.object_table import object_table


def test_sizes_by_hand() -> None:
    found = size_distribution(np.array([np.pi, 4 * np.pi, 9 * np.pi]), (100, 200), um_per_pixel=2.0)
    assert found["count"] == 3
    assert found["area_fraction"] == pytest.approx(14 * np.pi / 20_000)
    assert found["per_mm2"] == pytest.approx(3 / 0.08)
    assert [found[name] for name in ("mean", "median", "largest")] == pytest.approx([8, 8, 12])
    assert found["classes"] == [[4.0, 8.0, 1], [8.0, 16.0, 2]]
    assert size_distribution(np.zeros(0), (10, 10)) == {"count": 0, "area_fraction": 0.0}


def test_severities_of_the_table() -> None:
    lengths = (37.0, 127.0, 261.0, 436.1, 649.0, 898.0)
    assert [severity(ELONGATED, length) for length in lengths] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert [severity(ROUND, number) for number in (1, 4, 9, 16, 25, 36)] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert [severity(ROUND, number) for number in (0, 3, 8, 15)] == [0.0, 0.5, 1.0, 1.5]


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
        "globular_thin": 1.0,
        "globular_heavy": 0.0,
        "elongated_thin": 1.0,
        "elongated_heavy": 0.0,
        "oversized": 1,
    }
    assert e45_like(object_table(label_HW), label_HW.shape, FIELD_UM / 2000) is None
