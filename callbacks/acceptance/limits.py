"""Limits of one number: minima and maxima, inclusive or not, and what follows where the number is unknown."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """An interval; every bound that is None is not there.

    Attributes:
        min: The least value that is inside.
        max: The largest value that is inside.
        above: What is inside is larger than this.
        below: What is inside is smaller than this.
    """

    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, value: float | None) -> bool | None:
        """Tell whether a value lies inside; None where it is unknown, or not a number."""
        if value is None or math.isnan(value):
            return None
        return (
            (self.min is None or value >= self.min)
            and (self.max is None or value <= self.max)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    @property
    def empty(self) -> bool:
        """Tell whether no value lies inside."""
        lows = [value for value in (self.min, self.above) if value is not None]
        highs = [value for value in (self.max, self.below) if value is not None]
        if not lows or not highs:
            return False
        low, high = max(lows), min(highs)
        return low > high or (low == high and (low == self.above or high == self.below))

    def __str__(self) -> str:
        """Say it in words, such as ``from 2 to 5``."""
        if self.min is not None and self.max is not None and self.above is None and self.below is None:
            return f"from {self.min:.10g} to {self.max:.10g}"
        words = {"min": "at least", "max": "at most", "above": "above", "below": "below"}
        return " and ".join(f"{words[name]} {value:.10g}" for name, value in self.to_dict().items())

    def to_dict(self) -> dict[str, float]:
        """Plain values: the bounds that are there."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


BOUNDS = tuple(entry.name for entry in fields(Limits))
