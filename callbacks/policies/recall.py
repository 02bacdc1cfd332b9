"""A recall that is kept: the highest threshold that still finds a given share of the defects."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from callbacks.statistics.curves import at_or_above

from .base import IMAGES, Policy, Threshold, describe_calls
from .tolerance import allowed_with_confidence, check_share, most_beyond, samples_needed

if TYPE_CHECKING:
    from callbacks.statistics.curves import ScoreCounts


@dataclass(frozen=True)
class Recall(Policy):
    """The highest threshold that finds at least a share ``recall`` of the defective calibration samples.

    Good samples play no part. The threshold is the score of a defective sample, which counts as found. With a
    ``confidence``, so few may be missed that the recall on new defects from the same process is ``recall`` with that
    confidence (a distribution-free tolerance limit, see `tolerance`); where the defects are too few for that, the
    lowest of their scores is taken, and the promise says how many it would take.

    Attributes:
        recall: In (0, 1].
        confidence: In (0, 1); None keeps the recall on the calibration set only.
    """

    recall: float = 0.99
    confidence: float | None = None
    needs_good: ClassVar[bool] = False
    needs_defects: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse shares that no threshold can keep."""
        if not 0 < self.recall <= 1:
            raise ValueError(f"Expected recall to be above 0 and at most 1, but got {self.recall}; 0.99 is usual.")
        if self.confidence is not None:
            check_share("confidence", self.confidence)
            check_share("recall, where a confidence is asked for,", self.recall)

    def choose_from_counts(self, counts: ScoreCounts, unit: str = IMAGES) -> Threshold:
        """Choose the highest threshold that keeps the recall; see `Policy.choose_from_counts`."""
        n_good, n_defective = self.require(counts, unit)
        missable = n_defective - ceil(Fraction(str(self.recall)) * n_defective)
        if self.confidence is not None:
            missable = allowed_with_confidence(n_defective, 1 - self.recall, self.confidence) or 0
        enough_T = at_or_above(counts.positive) >= n_defective - missable
        value = float(np.float32(counts.threshold[int(np.flatnonzero(enough_T)[-1])]))
        promise = f"On the calibration set: {describe_calls(counts, value, unit)}."
        if unit == IMAGES:  # pixels of one image resemble each other: for them this does not follow
            promise += self._promise(n_defective, missable)
        return Threshold(value, repr(self), promise, n_good, n_defective)

    def _promise(self, n_defective: int, missable: int) -> str:
        """Say what holds for new defects, and how many calibration defects the recall asked for would take."""
        confidence = 0.95 if self.confidence is None else self.confidence
        bound = 1 - most_beyond(n_defective, missable, confidence)
        promise = (
            f" On new defective pictures from the same process the recall is at least {bound:.3f} with "
            f"{confidence:.0%} confidence, as far as {n_defective} of them can tell. It promises nothing about good "
            "ones."
        )
        if bound < self.recall < 1:
            needed = samples_needed(1 - self.recall, confidence)
            promise += (
                f" {n_defective} defective pictures cannot back a recall of {self.recall:g}: that takes at least "
                f"{needed}, none of them missed."
            )
        return promise
