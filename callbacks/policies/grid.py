"""The best F1 among thresholds of an explicit range, with the table that they give."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .base import PICTURES, Policy, Threshold, called_at, describe_calls

if TYPE_CHECKING:
    from callbacks.statistics.curves import ScoreCounts

MOST = 10_000  # candidates


@dataclass(frozen=True)
class Grid(Policy):
    """The best F1 among ``start``, ``start + step``, ... below ``stop``, as Python's ``range`` counts.

    `F1` looks at every threshold that makes a difference and needs no range; this one repeats a search as somebody
    else made it, and keeps its table. Of equal F1, the lowest threshold is taken, which misses fewer defects.

    Attributes:
        start: First candidate, in raw score units.
        stop: End of the range, itself no candidate.
        step: Between candidates; positive, at most 10,000 of them.
    """

    start: float
    stop: float
    step: float
    needs_defects: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse a range that is empty or endless."""
        finite = isfinite(self.start) and isfinite(self.stop) and isfinite(self.step)
        if not finite or not self.step > 0 or not self.start < self.stop:
            raise ValueError(
                f"Expected start below stop and a positive step, but got {self.start}, {self.stop} and {self.step}; "
                "1570, 1640 and 5 try 14 thresholds."
            )
        if (self.stop - self.start) / self.step > MOST:
            raise ValueError(f"Expected at most {MOST:,} thresholds, but got more; take a larger step.")

    @property
    def candidates(self) -> list[float]:
        """All thresholds that are tried, ascending, as float32 holds them."""
        count = ceil((self.stop - self.start) / self.step)
        return [float(np.float32(self.start + index * self.step)) for index in range(count)]

    def choose_from_counts(self, counts: ScoreCounts, unit: str = PICTURES) -> Threshold:
        """Choose the candidate of the best F1; see `Policy.choose_from_counts`."""
        n_good, n_defective = self.require(counts, unit)
        table = [confusion_row(counts, candidate) for candidate in self.candidates]
        best = max(table, key=lambda row: row["f1"])  # of equals, the first
        promise = (
            f"It gives the best F1 ({best['f1']:.4f}) of {len(table)} thresholds from {table[0]['threshold']:g} to "
            f"{table[-1]['threshold']:g}: {describe_calls(counts, best['threshold'], unit)}. It was fitted to these "
            f"{n_good + n_defective} {unit}; expect somewhat less on new ones."
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
