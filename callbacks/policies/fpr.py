"""A false-positive rate that is kept: the lowest threshold that good samples rarely reach."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from .base import IMAGES, Policy, Threshold, describe_calls, just_above_all_but
from .tolerance import allowed_with_confidence, check_share, most_beyond, samples_needed

if TYPE_CHECKING:
    from callbacks.statistics.curves import ScoreCounts


@dataclass(frozen=True)
class FalsePositiveRate(Policy):
    """The lowest threshold that at most a share ``rate`` of the good samples reaches.

    Defective samples play no part. Without a ``confidence`` that holds on the calibration set, as with ``Normal``. With
    one, so few good calibration samples may reach the threshold that the rate on new good ones from the same process is
    at most ``rate`` with that confidence (a distribution-free tolerance limit, see `tolerance`). Where the good ones
    are too few for that, the threshold lies just above the highest, and the promise says how many it would take.

    Attributes:
        rate: In (0, 1).
        confidence: In (0, 1); None keeps the rate on the calibration set only.
    """

    rate: float = 0.01
    confidence: float | None = None

    def __post_init__(self) -> None:
        """Refuse shares that no threshold can keep."""
        check_share("rate", self.rate)
        if self.confidence is not None:
            check_share("confidence", self.confidence)

    def choose_from_counts(self, counts: ScoreCounts, unit: str = IMAGES) -> Threshold:
        """Choose the lowest threshold that keeps the rate; see `Policy.choose_from_counts`."""
        n_good, n_defective = self.require(counts, unit)
        allowed = floor(Fraction(str(self.rate)) * n_good)
        if self.confidence is not None:
            allowed = allowed_with_confidence(n_good, self.rate, self.confidence) or 0
        value, _ = just_above_all_but(counts, allowed)
        promise = f"On the calibration set: {describe_calls(counts, value, unit)}."
        if unit == IMAGES:  # pixels of one image resemble each other: for them this does not follow
            promise += self._promise(n_good, allowed)
        return Threshold(value, repr(self), promise, n_good, n_defective)

    def _promise(self, n_good: int, allowed: int) -> str:
        """Say what holds for new good images, and how many calibration images the rate asked for would take."""
        confidence = 0.95 if self.confidence is None else self.confidence
        bound = most_beyond(n_good, allowed, confidence)
        promise = (
            f" On new good pictures from the same process the rate of false alarms is at most {bound:.2g} with "
            f"{confidence:.0%} confidence, as far as {n_good} of them can tell. It promises nothing about defective "
            "ones."
        )
        if bound > self.rate:
            needed = samples_needed(self.rate, confidence)
            promise += (
                f" {n_good} good pictures cannot back a rate of {self.rate:g} in this way: that takes at least "
                f"{needed}, none of them called defective."
            )
        return promise
