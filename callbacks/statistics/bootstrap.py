"""Confidence intervals by resampling whole groups.

Images of one part, scan or build resemble each other: resampling them one by one would count each of them as new
evidence and give intervals that are too narrow. So groups are drawn with replacement, and each comes with all its
images. Groups that hold a defective image and groups that hold none are drawn separately, as many of each as there
are, so that neither class vanishes from a resample.

Shape letters: B resamples, G groups.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .curves import FloatArray


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval, all in the unit of the value; NaN where it is undefined.

    Attributes:
        value: The value on the full sample.
        low: Lower end of the interval, at most ``value``.
        high: Upper end of the interval, at least ``value``.
    """

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """``value``, ``low`` and ``high`` as plain numbers."""
        return asdict(self)


@dataclass(frozen=True)
class Resampling:
    """How intervals are drawn.

    Attributes:
        resamples: Number of resamples B, at least 2; percentiles at 95 % want 1,000.
        confidence: Coverage that the interval aims at, in (0, 1).
        seed: The same seed, groups and images give the same interval, whatever the order of the images.
    """

    resamples: int = 1000
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers from which no interval follows."""
        if self.resamples < 2 or not 0 < self.confidence < 1:
            raise ValueError(
                f"Expected at least 2 resamples and a confidence between 0 and 1, but got {self.resamples} and "
                f"{self.confidence}; 1000 and 0.95 are usual."
            )


def group_weights(defective_G: npt.ArrayLike, resampling: Resampling, chunk: int) -> Iterator[FloatArray]:
    """Tell how often each group was drawn in each resample, a few resamples at a time to bound the memory.

    Args:
        defective_G: Whether each group holds a defective image.
        resampling: Number of resamples and seed. The draws do not depend on ``chunk``.
        chunk: Number of resamples per array.

    Yields:
        Arrays of shape (at most ``chunk``, G), float64 holding whole numbers; B rows in total.
    """
    defective = np.asarray(defective_G, dtype=bool)
    strata = [np.flatnonzero(defective), np.flatnonzero(~defective)]
    # A generator for each stratum: the n-th draw from it is the same, however the rows are cut into chunks.
    generators = np.random.default_rng(resampling.seed).spawn(len(strata))
    for start in range(0, resampling.resamples, chunk):
        rows = min(chunk, resampling.resamples - start)
        weight = np.zeros((rows, defective.size))
        for stratum, generator in zip(strata, generators, strict=True):
            if stratum.size:
                drawn = generator.integers(stratum.size, size=(rows, stratum.size))
                flat = (drawn + stratum.size * np.arange(rows)[:, None]).ravel()
                weight[:, stratum] = np.bincount(flat, minlength=rows * stratum.size).reshape(rows, stratum.size)
        yield weight


def order_by_content(group_index_N: npt.NDArray[np.intp], *column_N: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Number groups anew, in an order that depends on what their members are, not on what the groups are called.

    Resamples draw groups by number, so renaming or reordering images then changes no interval.

    Args:
        group_index_N: Number of each member's group, from 0, none left out.
        column_N: Numbers that say what each member is, such as its score and its label.
    """
    order = np.lexsort((*reversed(column_N), group_index_N))
    rows = np.stack([np.asarray(column, dtype=np.float64)[order] for column in column_N], axis=1)
    ends = np.flatnonzero(np.diff(group_index_N[order])) + 1
    members = [part.tolist() for part in np.split(rows, ends)]
    number = np.empty(len(members), dtype=np.intp)
    number[sorted(range(len(members)), key=members.__getitem__)] = np.arange(len(members))
    return number[group_index_N]


def interval(value: float, resampled_B: FloatArray, groups: int, confidence: float = 0.95) -> Estimate:
    """Return the percentile interval of the resampled values, or Wilson's where resampling can say nothing.

    Where all resamples agree, as under perfect separation (a value of exactly 0 or 1), the percentile interval has no
    width and would claim certainty. The same holds where fewer than two groups carry the value. Then the value is
    taken for a proportion observed on ``groups`` trials. That is conservative, since a ranking value such as AUROC
    compares many more pairs than groups.

    Args:
        value: The value on the full sample, in [0, 1] or NaN.
        resampled_B: The value on each resample; NaN where it is undefined there, and left out.
        groups: Number of groups that carry the value: of the scarcer class, where both play a part.
        confidence: Coverage aimed at, in (0, 1).

    Returns:
        An estimate whose interval holds its value; NaN throughout where ``value`` is NaN.

    Source: Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1979, for the
        percentiles.
    """
    if np.isnan(value):
        return Estimate(float("nan"), float("nan"), float("nan"))
    defined = resampled_B[~np.isnan(resampled_B)]
    same = 1e-12  # sums of the same weights in another order may differ in the last bits
    if groups < 2 or defined.size < 2 or min(value, 1 - value, np.ptp(defined)) < same:
        low, high = wilson(value, groups, confidence)
    else:
        low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    # Resampled maxima (best F1) lie above the value more often than below: the value itself must stay inside.
    return Estimate(float(value), float(min(low, value)), float(max(high, value)))


def wilson(proportion: float, trials: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval for a proportion in [0, 1] seen on a number of trials; (0, 1) on none.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927, p. 209.
    """
    if trials < 1:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (proportion + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(proportion * (1 - proportion) / trials + z**2 / (4 * trials**2))
    low, high = float(max(centre - half, 0.0)), float(min(centre + half, 1.0))
    return 0.0 if proportion <= 0 else low, 1.0 if proportion >= 1 else high  # exactly, whatever rounding leaves
