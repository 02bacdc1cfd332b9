"""The least expected cost, where a miss and a false alarm cost different amounts of money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from callbacks.statistics.curves import at_or_above

from .base import IMAGES, MOST, Policy, Threshold, describe_calls, in_the_gap_below
from .tolerance import check_share

if TYPE_CHECKING:
    from callbacks.statistics.curves import FloatArray, ScoreCounts

_SAME = 1e-12  # costs nearer to each other than this share differ by rounding only


@dataclass(frozen=True)
class Cost(Policy):
    """The threshold of the least expected cost per sample, in the middle of the gap below the lowest one called.

    ``prior * miss * miss_rate + (1 - prior) * false_alarm * false_positive_rate``, with both rates from the calibration
    set. Calling nothing or everything defective are choices like any other. Of equal costs, the lowest threshold is
    taken, which misses fewer defects.

    Attributes:
        miss: Cost of a defective sample called good, in any currency; positive.
        false_alarm: Cost of a good sample called defective, in the same; positive.
        prior: Share of defective samples in production, in (0, 1); None takes the share in the calibration set, which
            is rarely that of production.

    Source: Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.
    """

    miss: float = 100.0
    false_alarm: float = 1.0
    prior: float | None = 0.01
    needs_defects: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse costs that are not positive and what is not a share."""
        for name in ("miss", "false_alarm"):
            if not 0 < getattr(self, name) <= MOST:
                raise ValueError(
                    f"Expected {name} to be a positive amount of money up to {MOST:g}, but got {getattr(self, name)}."
                )
        if self.prior is not None:
            check_share("prior", self.prior)

    def choose_from_counts(self, counts: ScoreCounts, unit: str = IMAGES) -> Threshold:
        """Choose the least expected cost; see `Policy.choose_from_counts`."""
        n_good, n_defective = self.require(counts, unit)
        prior = n_defective / (n_good + n_defective) if self.prior is None else self.prior
        cost_T1 = self._costs(counts, prior)
        first = int(np.argmax(cost_T1 <= cost_T1.min() * (1 + _SAME)))
        value = in_the_gap_below(counts, first)
        promise = (
            f"With {prior:.4g} of all {unit} defective, it gives the least expected cost on the calibration set: "
            f"{cost_T1[first]:.4g} per one of the {unit}, where calling all of them good would cost {cost_T1[-1]:.4g} "
            f"and all defective {cost_T1[0]:.4g}; {describe_calls(counts, value, unit)}. It was fitted to these "
            f"{n_good} good and {n_defective} defective {unit}; expect somewhat more on new ones."
        )
        if self.prior is None:
            promise += " The share of defects is that of the calibration set; set prior to that of production."
        return Threshold(value, repr(self), promise, n_good, n_defective)

    def _costs(self, counts: ScoreCounts, prior: float) -> FloatArray:
        """Expected cost of a threshold at each distinct score, and of one above them all, (T + 1,)."""
        tp, fp = (np.append(at_or_above(count), 0.0) for count in (counts.positive, counts.negative))
        missed, alarms = 1 - tp / counts.positive.sum(), fp / counts.negative.sum()
        costs: FloatArray = prior * self.miss * missed + (1 - prior) * self.false_alarm * alarms
        return costs
