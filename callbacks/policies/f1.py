"""The best F1, or F-beta, on calibration samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from callbacks.statistics.curves import f_score

from .base import IMAGES, MOST, Policy, Threshold, describe_calls, in_the_gap_below
from .prevalence import check_prior, describe_prior, weights_of

if TYPE_CHECKING:
    from callbacks.statistics.curves import FloatArray, ScoreCounts


@dataclass(frozen=True)
class F1(Policy):
    """The threshold of the best F1 (or F-beta) on the calibration set, in the middle of the gap below it.

    Of the lowest score that is still called defective and the next lower distinct score, the middle is taken. Where
    everything is called defective there is no gap, and the threshold is the lowest score itself. Of several thresholds
    with the same F1, the lowest is taken, which misses fewer defects.

    F1 depends on how many samples are defective: precision does. Good samples are weighed such that the share of
    defective ones is the assumed one.

    Attributes:
        beta: Recall weighs ``beta`` times as much as precision; positive.
        prior: Share of defective samples that is assumed, in (0, 1); None: as in the calibration set, a half at most.
    """

    beta: float = 1.0
    prior: float | None = None
    needs_defects: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse a weight that is not positive."""
        if not 0 < self.beta <= MOST:
            raise ValueError(
                f"Expected beta to be a positive number up to {MOST:g}, but got {self.beta}; F1 has beta=1."
            )
        check_prior(self.prior)

    def __repr__(self) -> str:
        """Write it as Python would, the share only where it is given."""
        return f"F1(beta={self.beta!r})" if self.prior is None else f"F1(beta={self.beta!r}, prior={self.prior!r})"

    def choose_from_counts(self, counts: ScoreCounts, unit: str = IMAGES) -> Threshold:
        """Choose the best F-beta; see `Policy.choose_from_counts`."""
        return self._choose(counts, unit, self._f_score(counts, self.beta))

    def choose_above(self, counts: ScoreCounts, nothing: float, unit: str = IMAGES) -> Threshold:
        """Choose the best F-beta of all thresholds above ``nothing``; see `Policy.choose_above`."""
        f_T = np.where(counts.threshold > nothing, self._f_score(counts, self.beta), -1.0)
        if f_T.size and f_T.max() >= 0:
            return self._choose(counts, unit, f_T)
        return super().choose_above(counts, nothing, unit)

    def _f_score(self, counts: ScoreCounts, beta: float) -> FloatArray:
        """F-beta at each distinct score, weighed to the assumed share of defective samples."""
        good, defective = weights_of(self.prior, int(counts.negative.sum()), int(counts.positive.sum()))
        return f_score(good * counts.negative, defective * counts.positive, beta)

    def _choose(self, counts: ScoreCounts, unit: str, f_T: FloatArray) -> Threshold:
        """Choose the threshold of the best of some figures, one for each distinct score."""
        n_good, n_defective = self.require(counts, unit)
        first = int(np.argmax(f_T))  # of equals, the first
        value = in_the_gap_below(counts, first)
        f1 = float(self._f_score(counts, 1.0)[first])
        promise = (
            "It strikes the best balance of misses and false alarms on the calibration set "
            f"({'F1' if self.beta == 1 else f'the best F{self.beta:g}; F1'} {f1:.3f}, of 1 at most): "
            f"{describe_calls(counts, value, unit)}. It was fitted to these {n_good + n_defective} {unit}; expect "
            f"somewhat less on new ones. {describe_prior(self.prior, n_good, n_defective, unit)}"
        )
        return Threshold(value, repr(self), promise, n_good, n_defective)


def of_pixels(policy: Policy, of_images: Policy) -> Policy:
    """Return the policy of pixels: without the share of defective images, where it is that of images.

    Of pixels, far fewer are defective; their own share in the calibration set counts.
    """
    return replace(policy, prior=None) if isinstance(policy, F1) and policy == of_images else policy
