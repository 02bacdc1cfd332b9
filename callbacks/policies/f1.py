"""The best F1, or F-beta, on calibration samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from callbacks.statistics.curves import f_score, rates_at

from .base import PICTURES, Policy, Threshold, describe_calls, in_the_gap_below

if TYPE_CHECKING:
    from callbacks.statistics.curves import FloatArray, ScoreCounts


@dataclass(frozen=True)
class F1(Policy):
    """The threshold of the best F1 (or F-beta) on the calibration set, in the middle of the gap below it.

    Of the lowest score that is still called defective and the next lower distinct score, the middle is taken. Where
    everything is called defective there is no gap, and the threshold is the lowest score itself. Of several thresholds
    with the same F1, the lowest is taken, which misses fewer defects.

    Attributes:
        beta: Recall weighs ``beta`` times as much as precision; positive.
    """

    beta: float = 1.0
    needs_defects: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse a weight that is not positive."""
        if not 0 < self.beta < float("inf"):
            raise ValueError(f"Expected beta to be a positive number, but got {self.beta}; F1 has beta=1.")

    def choose_from_counts(self, counts: ScoreCounts, unit: str = PICTURES) -> Threshold:
        """Choose the best F-beta; see `Policy.choose_from_counts`."""
        return self._choose(counts, unit, f_score(counts.negative, counts.positive, self.beta))

    def choose_above(self, counts: ScoreCounts, nothing: float, unit: str = PICTURES) -> Threshold:
        """Choose the best F-beta of all thresholds above ``nothing``; see `Policy.choose_above`."""
        f_T = np.where(counts.threshold > nothing, f_score(counts.negative, counts.positive, self.beta), -1.0)
        if f_T.size and f_T.max() >= 0:
            return self._choose(counts, unit, f_T)
        return super().choose_above(counts, nothing, unit)

    def _choose(self, counts: ScoreCounts, unit: str, f_T: FloatArray) -> Threshold:
        """Choose the threshold of the best of some figures, one for each distinct score."""
        n_good, n_defective = self.require(counts, unit)
        first = int(np.argmax(f_T))  # of equals, the first
        value = in_the_gap_below(counts, first)
        f1 = float(rates_at(counts, counts.threshold[first])["f1"])
        promise = (
            f"It gives the best {'F1' if self.beta == 1 else f'F{self.beta:g}'} on the calibration set (F1 {f1:.3f}): "
            f"{describe_calls(counts, value, unit)}. It was fitted to these {n_good + n_defective} {unit}; expect "
            "somewhat less on new ones."
        )
        return Threshold(value, repr(self), promise, n_good, n_defective)
