"""What repeating a training says: mean, spread and interval of a figure over seeds or folds.

The trainings share most of their images, so their figures are not independent, and the usual ``s / sqrt(n)`` is too
narrow: it can be made as small as one likes by repeating more often. Nadeau and Bengio add the share of images that
each training has not seen.

Source: Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003, pp. 239-281.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from scipy.stats import t as student

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Spread:
    """A figure over n trainings, in the unit of the figure.

    Attributes:
        value: Mean.
        std: Standard deviation (n - 1); None for a single training.
        low: Lower end of the interval of the mean; None for too few trainings.
        high: Upper end.
        parts: The figure of each training, None where it was undefined there.
    """

    value: float | None
    std: float | None
    low: float | None
    high: float | None
    parts: tuple[float | None, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in metrics.json."""
        return asdict(self) | {"parts": list(self.parts)}


def spread(parts: Sequence[float | None], tested_share: float, confidence: float = 0.95, *, minimum: int = 2) -> Spread:
    """Mean, standard deviation and corrected interval of a figure in [0, 1].

    Args:
        parts: The figure of each training; None where undefined, and left out.
        tested_share: Test images per image that was not tested, on average: ``n_test / n_train`` of the source.
        confidence: Of the interval, in (0, 1).
        minimum: Trainings without which there is no interval.
    """
    known = [value for value in parts if value is not None]
    if not known:
        return Spread(None, None, None, None, tuple(parts))
    mean = fmean(known)
    if len(known) == 1:
        return Spread(mean, None, None, None, tuple(parts))
    deviation = stdev(known)
    if len(known) < minimum:
        return Spread(mean, deviation, None, None, tuple(parts))
    half = float(student.ppf((1 + confidence) / 2, len(known) - 1)) * deviation * sqrt(1 / len(known) + tested_share)
    return Spread(mean, deviation, max(0.0, mean - half), min(1.0, mean + half), tuple(parts))
