"""Policies that choose a threshold from calibration scores, and say what their choice is worth.

Scores are compared in float32, which is what models and bundles compute in: each policy rounds them to float32 first
and returns a value that float32 holds exactly. So for float32 scores the decision on each calibration picture is
the one in the sweep's table, whether it is compared in float32 or in float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from .curves import ScoreCounts, at_or_above, count_scores, f_score, rates_at

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Threshold:
    """A threshold in raw score units, and what it rests on.

    Attributes:
        value: Defective when ``score >= value``; exactly representable in float32.
        policy: The policy that chose it, as it would be written in Python.
        promise: Plain sentences: what the threshold promises, and on how many samples that rests.
        n_good: Good samples in the calibration set.
        n_defective: Defective samples in the calibration set.
        fallback: Whether another policy was asked for, which needs defective samples where there were none.
    """

    value: float
    policy: str
    promise: str
    n_good: int
    n_defective: int
    fallback: bool = False


class Policy(ABC):
    """A rule that turns calibration scores into a threshold.

    Attributes:
        needs_defects: Whether the rule has to see defective samples.
    """

    needs_defects: ClassVar[bool]

    @abstractmethod
    def choose_from_counts(self, counts: ScoreCounts, unit: str = "pictures") -> Threshold:
        """Chooses a threshold from counts per distinct score or bin; ``unit`` names the samples in the promise.

        Raises:
            ValueError: Where samples that the rule needs are missing, or a score is infinite.
        """

    def choose(self, score_N: npt.ArrayLike, label_N: npt.ArrayLike) -> Threshold:
        """Chooses a threshold from raw scores and labels (0 good, 1 defective, -1 unknown and ignored).

        Raises:
            ValueError: Where samples that the rule needs are missing, a score is not finite in float32, or a label is
                none of the three.
        """
        return self.choose_from_counts(_count_float32(score_N, label_N))


@dataclass(frozen=True)
class F1(Policy):
    """The threshold of the best F1 (or F-beta) on the calibration set, in the middle of the gap below it.

    Of the lowest score that is still called defective and the next lower distinct score, the middle is taken: a
    threshold that sits on a sample has no margin on that side. Where everything is called defective there is no gap,
    and the threshold is the lowest score itself. Of several thresholds with the same F1, the lowest is taken, which
    misses fewer defects.

    Attributes:
        beta: Recall weighs ``beta`` times as much as precision; positive.
    """

    beta: float = 1.0
    needs_defects: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuses a weight that is not positive."""
        if not 0 < self.beta < float("inf"):
            raise ValueError(f"Expected beta to be a positive number, but got {self.beta}; F1 has beta=1.")

    def choose_from_counts(self, counts: ScoreCounts, unit: str = "pictures") -> Threshold:
        """Chooses the best F-beta; see `Policy.choose_from_counts`."""
        n_good, n_defective = _require(counts, unit)
        if not n_defective:
            raise ValueError(
                f"{self!r} needs defective {unit} to choose a threshold, but the calibration set holds none; add some, "
                "or use a policy for good ones only, such as Normal."
            )
        first = int(np.argmax(f_score(counts.negative, counts.positive, self.beta)))  # of equals, the first
        at_best = counts.threshold[first]
        value = _middle(counts.highest[first - 1], at_best) if first else float(np.float32(at_best))
        tp, fp = counts.positive[first:].sum(), counts.negative[first:].sum()
        f1 = float(rates_at(counts, at_best)["f1"])
        promise = (
            f"It gives the best {'F1' if self.beta == 1 else f'F{self.beta:g}'} on the calibration set (F1 {f1:.3f}): "
            f"{n_defective - int(tp)} of {n_defective} defective {unit} missed, {int(fp)} of {n_good} good ones called "
            f"defective. It was fitted to these {n_good + n_defective} {unit}; expect somewhat less on new ones."
        )
        return Threshold(value, repr(self), promise, n_good, n_defective)


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
    needs_defects: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuses quantiles that no number of samples can back."""
        if not 0 < self.quantile < 1:
            raise ValueError(
                f"Expected quantile to be between 0 and 1, both excluded, but got {self.quantile}; 0.99 lets one good "
                "picture in a hundred be called defective."
            )

    @property
    def _tail(self) -> Fraction:
        # As written in decimal: in binary, (1 - 0.9) * 10 is a little below 1, and one picture would be lost.
        return 1 - Fraction(str(self.quantile))

    def choose_from_counts(self, counts: ScoreCounts, unit: str = "pictures") -> Threshold:
        """Chooses by the quantile of the good scores; see `Policy.choose_from_counts`."""
        n_good, n_defective = _require(counts, unit)
        allowed = floor(self._tail * n_good)
        above = np.append(at_or_above(counts.negative), 0.0)
        first = int(np.argmax(above <= allowed))  # at least 1, since `allowed` is below `n_good`
        value = _next_above(counts.highest[first - 1])
        promise = (
            f"{int(above[first])} of {n_good} good calibration {unit} reach it, where {allowed} may (a share of "
            f"{float(self._tail):.4g}). It promises nothing about defective {unit}."
        )
        if unit == "pictures":  # pixels of one picture resemble each other: for them this does not follow
            chance = (allowed + 1) / (n_good + 1)
            promise += (
                f" The average chance that a new good picture from the same process reaches it is {chance:.2g} at most."
            )
        if (needed := ceil(1 / self._tail)) > n_good:
            promise += (
                f" {n_good} good {unit} cannot resolve the quantile {self.quantile:g}, which takes at least {needed}: "
                "the threshold lies just above the highest of them."
            )
        return Threshold(value, repr(self), promise, n_good, n_defective)


_NORMAL = Normal()


def choose_threshold(
    policy: Policy, score_N: npt.ArrayLike, label_N: npt.ArrayLike, fallback: Policy = _NORMAL
) -> Threshold:
    """Chooses a threshold by ``policy``, or by ``fallback`` where defects are needed and there are none.

    Args:
        policy: The policy asked for.
        score_N: Raw calibration scores, higher is worse, finite in float32.
        label_N: 0 good, 1 defective, -1 unknown (ignored).
        fallback: A policy that does without defects.

    Returns:
        The threshold; where the fallback was used, ``fallback`` is true and the promise begins by saying so.

    Raises:
        ValueError: Where there is no good picture, a score is not finite, or the fallback needs defects too.
    """
    return choose_threshold_from_counts(policy, _count_float32(score_N, label_N), fallback)


def choose_threshold_from_counts(
    policy: Policy, counts: ScoreCounts, fallback: Policy = _NORMAL, unit: str = "pictures"
) -> Threshold:
    """`choose_threshold` from counts, as a pixel histogram gives them; ``unit`` names the samples in the promise."""
    if not policy.needs_defects or counts.positive.sum() > 0:
        return policy.choose_from_counts(counts, unit)
    if fallback.needs_defects:
        raise ValueError(
            f"Expected the fallback to do without defective {unit}, but {fallback!r} needs them too; use Normal."
        )
    chosen = fallback.choose_from_counts(counts, unit)
    why = f"{policy!r} needs defective {unit} and the calibration set holds none, so {fallback!r} was used instead. "
    return replace(chosen, promise=why + chosen.promise, fallback=True)


def _count_float32(score_N: npt.ArrayLike, label_N: npt.ArrayLike) -> ScoreCounts:
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused by `_require`
        return count_scores(np.asarray(score_N).astype(np.float32), label_N)


def _require(counts: ScoreCounts, unit: str) -> tuple[int, int]:
    n_good, n_defective = int(counts.negative.sum()), int(counts.positive.sum())
    if not n_good:
        raise ValueError(
            f"Expected good {unit} in the calibration set, but found none ({n_defective} defective); a threshold "
            "separates good from defective, so put good ones into the calibration split."
        )
    if not (np.isfinite(counts.threshold[[0, -1]]).all() and np.isfinite(counts.highest[[0, -1]]).all()):
        raise ValueError(
            f"Expected calibration scores to be finite in float32, but they range from {counts.threshold[0]} to "
            f"{counts.highest[-1]}; a threshold next to an infinite score means nothing."
        )
    return n_good, n_defective


def _middle(lower: float, upper: float) -> float:
    """The float32 nearest to the middle, but above ``lower``: between neighbouring float32 numbers it is ``upper``."""
    middle = np.float32(lower / 2 + upper / 2)
    return float(middle) if middle > lower else float(np.float32(upper))


def _next_above(score: float) -> float:
    """The next float32 above a score, subnormal numbers skipped: some runtimes flush those to zero, and 0 >= 0."""
    value = float(np.nextafter(np.float32(score), np.float32(np.inf)))
    tiny = float(np.finfo(np.float32).tiny)
    if -tiny < value < tiny and value != 0:
        return 0.0 if value < 0 else tiny
    return value
