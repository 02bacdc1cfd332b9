"""Mean plus k standard deviations of the good samples."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from .base import IMAGES, Policy, Threshold, above_the_usual, check_k, describe_calls, good_scores

if TYPE_CHECKING:
    from callbacks.statistics.curves import ScoreCounts


@dataclass(frozen=True)
class MeanSigma(Policy):
    """``mean + k sigma`` of the good scores, sigma being their standard deviation (divided by n, as numpy does).

    It fits scores that are roughly normal and good images without outliers: a single extreme score
    moves both numbers. `MedianMad` withstands that; `Normal` and `Conformal` need no shape at all. Where all scores are
    equal, the threshold is the next number above them.

    Attributes:
        k: Number of standard deviations; positive. 3 is usual.
    """

    k: float = 3.0

    def __post_init__(self) -> None:
        """Refuse a number of deviations that is not positive."""
        check_k(self.k)

    def choose_from_counts(self, counts: ScoreCounts, unit: str = IMAGES) -> Threshold:
        """Choose mean plus k sigma; see `Policy.choose_from_counts`."""
        n_good, n_defective = self.require(counts, unit)
        score, count = good_scores(counts)
        mean = float(np.average(score, weights=count))
        sigma = float(np.sqrt(np.average((score - mean) ** 2, weights=count)))
        value = above_the_usual(mean, self.k * sigma)
        promise = (
            f"Good {unit} have mean {mean:.5g} and standard deviation {sigma:.5g}; "
            f"{describe_calls(counts, value, unit)}. Were their scores normal, {NormalDist().cdf(-self.k):.2g} of new "
            f"good ones would reach it; whatever their distribution, at most {1 / (1 + self.k**2):.2g} would (Cantelli)"
            f", if {n_good} {unit} told both numbers exactly. It promises nothing about defective {unit}."
        )
        if unit == IMAGES and n_good < _ENOUGH:
            promise += (
                f" {n_good} good pictures tell a standard deviation to about "
                f"{1 / np.sqrt(2 * max(n_good - 1, 1)):.0%}; it takes {_ENOUGH} for 10 %."
            )
        return Threshold(value, repr(self), promise, n_good, n_defective)


_ENOUGH = 51  # the standard error of sigma is sigma / sqrt(2 (n - 1)) for normal scores
