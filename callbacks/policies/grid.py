"""The best F1 among thresholds of a range, with the table that they give."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .base import IMAGES, Policy, Threshold, called_at, describe_calls

if TYPE_CHECKING:
    from callbacks.statistics.curves import ScoreCounts

MOST = 10_000  # candidates
PARTS = 100  # steps of a range whose step nobody gave


@dataclass(frozen=True)
class Grid(Policy):
    """The best F1 among ``start``, ``start + step``, ... below ``stop``, as Python's ``range`` counts.

    `F1` looks at every threshold that makes a difference and needs no range; this one repeats a search as somebody
    else made it, and keeps its table. Of equal F1, the lowest threshold is taken, which misses fewer defects.

    Where an end is left open, it is a mean of the calibration set: the range begins at the mean score of the good
    samples and ends at that of the defective ones, or the other way round where a model ranks them so.

    Attributes:
        start: First candidate, in raw score units; None: the lower of the two means.
        stop: End of the range, itself no candidate; None: the higher of the two means.
        step: Between candidates; positive, at most 10,000 of them. None: a hundredth of the range.
    """

    start: float | None = None
    stop: float | None = None
    step: float | None = None
    needs_defects: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse a range that is empty or endless."""
        given = [value for value in (self.start, self.stop, self.step) if value is not None]
        empty = self.start is not None and self.stop is not None and not self.start < self.stop
        if empty or not all(map(isfinite, given)) or not (self.step is None or self.step > 0):
            raise ValueError(
                f"Expected start below stop and a positive step, but got {self.start}, {self.stop} and {self.step}; "
                "1570, 1640 and 5 try 14 thresholds."
            )
        if self.start is not None and self.stop is not None:
            self._count(self.start, self.stop)

    def candidates(self, counts: ScoreCounts) -> list[float]:
        """List all thresholds that are tried on these counts, ascending, as float32 holds them.

        Raises:
            ValueError: The means of good and defective samples leave no range, or one of too many steps.
        """
        low, high = self._ends(counts)
        step = self.step or (high - low) / PARTS
        return [float(np.float32(low + index * step)) for index in range(self._count(low, high))]

    def _ends(self, counts: ScoreCounts) -> tuple[float, float]:
        if self.start is not None and self.stop is not None:
            return self.start, self.stop
        score_T = (counts.threshold + counts.highest) / 2
        means = [float(np.average(score_T, weights=held_T)) for held_T in (counts.negative, counts.positive)]
        low = min(means) if self.start is None else self.start
        high = max(means) if self.stop is None else self.stop
        if not low < high:
            raise ValueError(
                f"Expected the mean scores of good ({means[0]:g}) and defective ({means[1]:g}) samples to give grid a "
                f"range, but found {low:g} to {high:g}; set threshold.policy.start and threshold.policy.stop."
            )
        return low, high

    def _count(self, low: float, high: float) -> int:
        count = PARTS if self.step is None else ceil((high - low) / self.step)
        if count > MOST:
            raise ValueError(f"Expected at most {MOST:,} thresholds, but got more; take a larger step.")
        return count

    @property
    def _origin(self) -> str:
        """Say that an end of the range is a mean."""
        means = self.start is None or self.stop is None
        return " (a range by the mean scores of good and defective ones)" if means else ""

    def choose_from_counts(self, counts: ScoreCounts, unit: str = IMAGES) -> Threshold:
        """Choose the candidate of the best F1; see `Policy.choose_from_counts`."""
        n_good, n_defective = self.require(counts, unit)
        table = [confusion_row(counts, candidate) for candidate in self.candidates(counts)]
        best = max(table, key=lambda row: row["f1"])  # of equals, the first
        promise = (
            f"It gives the best F1 ({best['f1']:.4f}) of {len(table)} thresholds from {table[0]['threshold']:g} to "
            f"{table[-1]['threshold']:g}{self._origin}: {describe_calls(counts, best['threshold'], unit)}. It was "
            f"fitted to these {n_good + n_defective} {unit}; expect somewhat less on new ones. It assumes that "
            f"a share of {n_defective / (n_good + n_defective):.3g} of all {unit} is defective, as in the calibration "
            "set."
        )
        if best in (table[0], table[-1]) and len(table) > 1:
            promise += " It lies at an end of the range: a better one may lie beyond."
        return Threshold(best["threshold"], repr(self), promise, n_good, n_defective, table=table)


def confusion_row(counts: ScoreCounts, threshold: float) -> dict[str, Any]:
    """Confusion counts, precision, recall and F1 of ``score >= threshold``; precision is None where nothing is called.

    Raises:
        ZeroDivisionError: There is no defective sample.
    """
    tp, fp = called_at(counts, threshold)
    fn, tn = int(counts.positive.sum()) - tp, int(counts.negative.sum()) - fp
    return {
        "threshold": threshold,
        "tp": tp,
        "fp": fp,
        "tn": tn,
        "fn": fn,
        "precision": tp / (tp + fp) if tp + fp else None,
        "recall": tp / (tp + fn),
        "f1": 2 * tp / (2 * tp + fp + fn),
    }
