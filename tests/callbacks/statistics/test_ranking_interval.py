"""Intervals of AUROC: against the equation they solve, and without a jump at 1."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from callbacks.statistics.bootstrap import Resampling
from callbacks.statistics.intervals import image_intervals
from callbacks.statistics.ranking_interval import auroc_interval


@pytest.mark.parametrize("sizes", [(6, 35), (30, 30), (200, 12), (2, 2)])
@pytest.mark.parametrize("value", [0.0, 0.2, 0.5, 0.9, 0.99, 1.0])
def test_ends_are_one_reach_away(value: float, sizes: tuple[int, int]) -> None:
    good, defective = sizes
    z = NormalDist().inv_cdf(0.95)
    low, high = auroc_interval(value, good, defective, confidence=0.9)
    assert 0 <= low <= value <= high <= 1
    for end in (low, high):
        others = (good + defective) / 2 - 1
        variance = end * (1 - end) * (1 + others * ((1 - end) / (2 - end) + end / (1 + end))) / (good * defective)
        if 0 < end < 1:
            assert abs(value - end) == pytest.approx(z * variance**0.5, abs=1e-6)
    mirrored = auroc_interval(1 - value, good, defective, confidence=0.9)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_higher_values_have_higher_ends_and_more_images_nearer_ones() -> None:
    lows = [auroc_interval(value, 35, 6)[0] for value in np.linspace(0.5, 1, 40)]
    assert lows == sorted(lows)
    assert auroc_interval(1.0, 35, 6)[0] < auroc_interval(1.0, 350, 60)[0] < 1
    assert auroc_interval(1.0, 0, 6) == (0.0, 1.0)


def test_nearly_1_and_1_do_not_contradict_each_other() -> None:
    """Two models on the same 41 images, of which 6 are defective: one makes no mistake, the other one in 210 pairs."""
    label = np.arange(41) >= 35
    perfect = label + np.linspace(0, 0.5, 41)
    nearly = perfect.copy()
    nearly[34], nearly[35] = nearly[35] + 0.001, nearly[34]
    resampling = Resampling(500)
    first, second = (
        image_intervals(score, label, np.arange(41), resampling=resampling)["auroc"] for score in (perfect, nearly)
    )
    assert (first.value, second.value) == (1.0, 209 / 210)
    assert second.low < first.low < second.low + 0.02
    assert first.low > 0.75


def test_it_holds_the_truth_of_few_images_about_as_often_as_it_says() -> None:
    rng, held, truth = np.random.default_rng(0), 0, NormalDist().cdf(2 / 2**0.5)
    for _ in range(400):
        good, bad = rng.normal(size=35), rng.normal(2, 1, 6)
        value = float((bad[:, None] > good[None]).mean())
        low, high = auroc_interval(value, 35, 6)
        held += low <= truth <= high
    assert 0.92 <= held / 400 <= 0.99
