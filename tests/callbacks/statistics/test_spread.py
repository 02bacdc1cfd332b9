"""Mean, deviation and the corrected interval of repeated trainings."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp

from callbacks.statistics.spread import spread


def test_without_shared_pictures_it_is_students_interval() -> None:
    values = [0.91, 0.88, 0.93, 0.9, 0.86]
    found = spread(values, tested_share=0.0)
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.value, found.std) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_shared_pictures_widen_it_as_nadeau_and_bengio_say() -> None:
    values = [0.6, 0.5, 0.55, 0.52, 0.58]
    found = spread(values, tested_share=1 / 4, confidence=0.9)  # five folds: one tested for four that are not
    half = t.ppf(0.95, 4) * np.std(values, ddof=1) * np.sqrt(1 / 5 + 1 / 4)
    assert (found.low, found.high) == pytest.approx((np.mean(values) - half, np.mean(values) + half))


def test_undefined_parts_are_left_out_and_ends_stay_in_range() -> None:
    assert spread([None, 0.5], 0.2).to_dict() == {
        "value": 0.5, "std": None, "low": None, "high": None, "parts": [None, 0.5]
    }  # fmt: skip
    assert spread([None, None], 0.2).value is None
    wide = spread([0.2, 1.0], 0.2)
    assert (wide.low, wide.high) == (0.0, 1.0)
    few = spread([0.2, 1.0], 0.2, minimum=3)
    assert (few.value, few.low, few.high) == (0.6, None, None)
    assert few.std is not None
