"""A bound on false alarms that holds for any model and any distribution, from good samples alone."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING

from scipy.stats import beta

from .base import IMAGES, Policy, Threshold, describe_calls, just_above_all_but
from .tolerance import check_share

if TYPE_CHECKING:
    from callbacks.statistics.curves import ScoreCounts

BAND = 0.99  # of calibration sets, whose false-positive rate lies in the band that the promise states


@dataclass(frozen=True)
class Conformal(Policy):
    """The lowest threshold that a new good sample reaches with a chance of at most ``alpha``: split conformal.

    Of n good calibration scores, k = floor(alpha (n + 1)) - 1 may reach the threshold. If a new good sample is
    exchangeable with them, it reaches the threshold with a chance of at most (k + 1) / (n + 1) <= alpha, on average
    over calibration sets, whatever the model and the scores' distribution. For one calibration set the rate lies in a
    band around that, Beta(k + 1, n - k), which the promise states. Fewer than 1 / alpha - 1 good samples cannot keep
    ``alpha``; then the threshold lies just above the highest, and the promise says so.

    Attributes:
        alpha: In (0, 1).

    Source: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, ch. 2; Vovk, "Conditional validity
        of inductive conformal predictors", ACML 2012, for the band.
    """

    alpha: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what is not a chance."""
        check_share("alpha", self.alpha)

    def choose_from_counts(self, counts: ScoreCounts, unit: str = IMAGES) -> Threshold:
        """Choose by the rank of the good scores; see `Policy.choose_from_counts`."""
        n_good, n_defective = self.require(counts, unit)
        alpha = Fraction(str(self.alpha))
        allowed = floor(alpha * (n_good + 1)) - 1
        value, _ = just_above_all_but(counts, max(allowed, 0))
        promise = f"On the calibration set: {describe_calls(counts, value, unit)}."
        if unit == IMAGES:  # pixels of one image are not exchangeable with those of another
            low, high = false_positive_band(n_good, max(allowed, 0))
            promise += (
                f" A new good picture from the same process reaches it with a chance of at most "
                f"{(max(allowed, 0) + 1) / (n_good + 1):.3g}, on average over calibration sets of {n_good} good "
                f"pictures; in {BAND:.0%} of such sets the rate of false alarms lies between {low:.2g} and {high:.2g} "
                "(or below, where scores are tied). It promises nothing about defective ones."
            )
        if allowed < 0:
            promise += (
                f" {n_good} good {unit} cannot keep alpha={self.alpha:g}, which takes at least {ceil(1 / alpha) - 1}: "
                "the threshold lies just above the highest of them."
            )
        return Threshold(value, repr(self), promise, n_good, n_defective)


def false_positive_band(n_good: int, allowed: int, coverage: float = BAND) -> tuple[float, float]:
    """Return the central band of false-positive rates over calibration sets of n good samples, k at the threshold.

    With continuous scores the rate is distributed as Beta(k + 1, n - k); ties only lower it.
    """
    rate = beta(allowed + 1, n_good - allowed)
    return float(rate.ppf((1 - coverage) / 2)), float(rate.ppf((1 + coverage) / 2))
