"""Median plus k median absolute deviations of the good samples."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from .base import IMAGES, Policy, Threshold, above_the_usual, check_k, describe_calls, good_scores

if TYPE_CHECKING:
    from callbacks.statistics.curves import FloatArray, ScoreCounts

NORMAL_SCALE = 1 / NormalDist().inv_cdf(0.75)  # 1.4826: the MAD of normal scores, so scaled, is their sigma


@dataclass(frozen=True)
class MedianMad(Policy):
    """``median + k MAD`` of the good scores; the MAD is scaled by 1.4826, to sigma where the scores are normal.

    Up to half of the good images may be defective or odd without moving it much, which suits sets that nobody
    sorted. Where more than half of the scores are equal, the MAD is 0 and the threshold is the next number above them.

    Attributes:
        k: Number of scaled deviations; positive. 3 is usual.

    Source: Rousseeuw and Croux, "Alternatives to the median absolute deviation", JASA 88, 1993.
    """

    k: float = 3.0

    def __post_init__(self) -> None:
        """Refuse a number of deviations that is not positive."""
        check_k(self.k)

    def choose_from_counts(self, counts: ScoreCounts, unit: str = IMAGES) -> Threshold:
        """Choose median plus k MAD; see `Policy.choose_from_counts`."""
        n_good, n_defective = self.require(counts, unit)
        score, count = good_scores(counts)
        median = weighted_median(score, count)
        mad = NORMAL_SCALE * weighted_median(np.abs(score - median), count)
        value = above_the_usual(median, self.k * mad)
        promise = (
            f"Good {unit} have median {median:.5g} and scaled MAD {mad:.5g}; {describe_calls(counts, value, unit)}. "
            f"Were their scores normal, {NormalDist().cdf(-self.k):.2g} of new good ones would reach it; for other "
            f"shapes nothing is promised, nor about defective {unit}. It rests on {n_good} good {unit}."
        )
        if unit == IMAGES and n_good < _ENOUGH:
            promise += f" {n_good} good pictures tell a MAD only roughly; it takes {_ENOUGH} for about 10 %."
        return Threshold(value, repr(self), promise, n_good, n_defective)


def weighted_median(score: FloatArray, count: FloatArray) -> float:
    """Return the median of scores that occur ``count`` times each; the mean of the two middle ones if even."""
    order = np.argsort(score, kind="stable")
    up_to = np.cumsum(count[order])
    low, high = np.searchsorted(up_to, [(up_to[-1] - 1) // 2, up_to[-1] // 2], side="right")
    return float((score[order[low]] + score[order[high]]) / 2)


_ENOUGH = 137  # the MAD needs 1/0.37 times as many samples as sigma for the same error (Rousseeuw and Croux)
