"""A quantile of the good samples."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING

from .base import IMAGES, Policy, Threshold, just_above_all_but

if TYPE_CHECKING:
    from callbacks.statistics.curves import ScoreCounts


@dataclass(frozen=True)
class Normal(Policy):
    """The smallest threshold that calls at most ``1 - quantile`` of the good calibration samples defective.

    Of n good scores, k = floor((1 - quantile) n) may be called defective. The threshold is the next float32 number
    above the (k+1)-th highest good score, so that at most k of them reach it, and any lower threshold would let more.
    Defective samples play no part. A new good sample from the same process reaches it with a chance of at most
    (k + 1) / (n + 1), on average over calibration sets (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random
    World, 2005, ch. 2).

    Attributes:
        quantile: In (0, 1). With n good samples no finer quantile than 1 - 1/n can be resolved; the promise then says
            how many it takes.
    """

    quantile: float = 0.99

    def __post_init__(self) -> None:
        """Refuse quantiles that no number of samples can back."""
        if not 0 < self.quantile < 1:
            raise ValueError(
                f"Expected quantile to be between 0 and 1, both excluded, but got {self.quantile}; 0.99 lets one good "
                "picture in a hundred be called defective."
            )

    @property
    def _tail(self) -> Fraction:
        # As written in decimal: in binary, (1 - 0.9) * 10 is a little below 1, and one image would be lost.
        return 1 - Fraction(str(self.quantile))

    def choose_from_counts(self, counts: ScoreCounts, unit: str = IMAGES) -> Threshold:
        """Choose by the quantile of the good scores; see `Policy.choose_from_counts`."""
        n_good, n_defective = self.require(counts, unit)
        allowed = floor(self._tail * n_good)
        value, reached = just_above_all_but(counts, allowed)
        promise = (
            f"Of good {unit}, a share of {float(self._tail):.4g} may reach it; of the {n_good} in the calibration set, "
            f"{reached} do. It promises nothing about defective {unit}."
        )
        if unit == IMAGES:  # pixels of one image resemble each other: for them this does not follow
            chance = (allowed + 1) / (n_good + 1)
            promise += (
                f" A new good picture from the same process reaches it with a chance of {chance:.2g} at most, on "
                "average."
            )
        if (needed := ceil(1 / self._tail)) > n_good:
            promise += (
                f" So small a share takes at least {needed} good {unit} to tell; with {n_good}, the threshold lies "
                "just above the highest of them."
            )
        return Threshold(value, repr(self), promise, n_good, n_defective)
