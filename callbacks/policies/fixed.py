"""A threshold that someone else chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from .base import IMAGES, Policy, Threshold, describe_calls

if TYPE_CHECKING:
    from callbacks.statistics.curves import ScoreCounts


@dataclass(frozen=True)
class Fixed(Policy):
    """The given threshold, rounded to float32; calibration samples only show what it does.

    Attributes:
        value: In raw score units, finite. It belongs to one trained model: after another training it means nothing.
    """

    value: float
    needs_good: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse what separates nothing."""
        if not abs(self.value) <= float(np.finfo(np.float32).max):
            raise ValueError(f"Expected value to be finite in float32, but got {self.value}.")

    def choose_from_counts(self, counts: ScoreCounts, unit: str = IMAGES) -> Threshold:
        """Choose nothing; see `Policy.choose_from_counts`."""
        n_good, n_defective = self.require(counts, unit)
        value = float(np.float32(self.value))
        promise = (
            "It was given, not chosen, and promises nothing. On the calibration set: "
            f"{describe_calls(counts, value, unit)}."
        )
        return Threshold(value, repr(self), promise, n_good, n_defective)
