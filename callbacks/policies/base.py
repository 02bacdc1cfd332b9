"""What every policy is, and what it hands out: a threshold in raw units, with a plain sentence of what it is worth.

Scores are compared in float32, which is what models and bundles compute in: each policy rounds them to float32 first
and returns a value that float32 holds exactly. So for float32 scores the decision on each calibration image is
the one in the table of thresholds, whether it is compared in float32 or in float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from callbacks.statistics.curves import ScoreCounts, at_or_above, count_scores

if TYPE_CHECKING:
    import numpy.typing as npt

    from callbacks.statistics.curves import FloatArray

IMAGES = "pictures"


@dataclass(frozen=True)
class Threshold:
    """A threshold in raw score units, and what it rests on.

    Attributes:
        value: Defective when ``score >= value``; exactly representable in float32.
        policy: The policy that chose it, as it would be written in Python.
        promise: Plain sentences: what the threshold promises, and on how many samples that rests.
        n_good: Good samples in the calibration set.
        n_defective: Defective samples in the calibration set.
        fallback: Whether another policy, or another scope's threshold, stands in for the one asked for.
        shared: Whether it is the threshold of all, for want of samples of this scope.
        table: What each candidate of a given list would have done; None for policies that try no list.
    """

    value: float
    policy: str
    promise: str
    n_good: int
    n_defective: int
    fallback: bool = False
    shared: bool = False
    table: list[dict[str, Any]] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and JSON; ``shared`` and ``table`` only where they say anything."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        silent = {"shared": False, "table": None}
        return {name: value for name, value in values.items() if name not in silent or value != silent[name]}


class Policy(ABC):
    """A rule that turns calibration scores into a threshold.

    Attributes:
        needs_good: Whether the rule has to see good samples.
        needs_defects: Whether the rule has to see defective samples.
    """

    needs_good: ClassVar[bool] = True
    needs_defects: ClassVar[bool] = False

    @abstractmethod
    def choose_from_counts(self, counts: ScoreCounts, unit: str = IMAGES) -> Threshold:
        """Choose a threshold from counts per distinct score or bin; ``unit`` names the samples in the promise.

        Raises:
            ValueError: Where samples that the rule needs are missing, or a score is infinite.
        """

    def choose_above(self, counts: ScoreCounts, nothing: float, unit: str = IMAGES) -> Threshold:
        """Choose as `choose_from_counts` does, but above the score of samples on which nothing was found.

        Such samples are not defective, whatever a rule would gain by calling them so.

        Raises:
            ValueError: As `choose_from_counts`.
        """
        chosen = self.choose_from_counts(counts, unit)
        return chosen if chosen.value > nothing else raised(chosen, counts, nothing, unit)

    def choose(self, score_N: npt.ArrayLike, label_N: npt.ArrayLike) -> Threshold:
        """Choose a threshold from raw scores and labels (0 good, 1 defective, -1 unknown and ignored).

        Raises:
            ValueError: Where samples that the rule needs are missing, a score is not finite in float32, or a label is
                none of the three.
        """
        return self.choose_from_counts(count_float32(score_N, label_N))

    def require(self, counts: ScoreCounts, unit: str) -> tuple[int, int]:
        """Check that the samples which the rule needs are there; return how many are good and defective.

        Raises:
            ValueError: As `choose_from_counts`.
        """
        n_good, n_defective = int(counts.negative.sum()), int(counts.positive.sum())
        if self.needs_good and not n_good:
            raise ValueError(
                f"{self!r} needs good {unit} to choose a threshold, but the calibration set holds none "
                f"({n_defective} defective); put good ones into the calibration split."
            )
        if self.needs_defects and not n_defective:
            raise ValueError(
                f"{self!r} needs defective {unit} to choose a threshold, but the calibration set holds none; add some, "
                "or use a policy for good ones only, such as Normal."
            )
        if counts.threshold.size and not np.isfinite([counts.threshold[[0, -1]], counts.highest[[0, -1]]]).all():
            raise ValueError(
                f"Expected calibration scores to be finite in float32, but they range from {counts.threshold[0]} to "
                f"{counts.highest[-1]}; a threshold next to an infinite score means nothing."
            )
        return n_good, n_defective

    def can_choose(self, counts: ScoreCounts) -> bool:
        """Tell whether the samples that the rule needs are there."""
        good, defects = counts.negative.sum() > 0, counts.positive.sum() > 0
        return bool((good or not self.needs_good) and (defects or not self.needs_defects))


def count_float32(score_N: npt.ArrayLike, label_N: npt.ArrayLike) -> ScoreCounts:
    """Count samples at each distinct score, as float32 tells scores apart."""
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused by `Policy.require`
        return count_scores(np.asarray(score_N).astype(np.float32) + np.float32(0), label_N)  # -0.0 becomes 0.0


def just_above_all_but(counts: ScoreCounts, allowed: int) -> tuple[float, int]:
    """The smallest float32 threshold that at most ``allowed`` good samples reach, and how many do."""
    above = np.append(at_or_above(counts.negative), 0.0)
    first = int(np.argmax(above <= allowed))
    value = float(np.float32(counts.threshold[0])) if first == 0 else next_above(counts.highest[first - 1])
    return value, int(above[first])


def in_the_gap_below(counts: ScoreCounts, first: int) -> float:
    """The float32 in the middle between the distinct score ``first`` and the next lower one.

    A threshold that sits on a sample has no margin on that side. Below the lowest score there is no gap, and the
    threshold is that score itself; above the highest (``first`` is the number of scores), it is the next number.
    """
    if first == counts.threshold.size:
        return next_above(counts.highest[-1])
    upper = counts.threshold[first]
    return _middle(counts.highest[first - 1], upper) if first else float(np.float32(upper))


def raised(chosen: Threshold, counts: ScoreCounts, nothing: float, unit: str) -> Threshold:
    """Move a threshold to the lowest one at which only samples are defective on which something was found."""
    above = counts.threshold > nothing
    value = in_the_gap_below(counts, int(np.argmax(above))) if above.any() else next_above(nothing)
    value = value if value > nothing else next_above(nothing)
    promise = (
        f"{chosen.policy} would call all {unit} defective, also those on which nothing was found. The threshold lies "
        f"above their score instead: {describe_calls(counts, value, unit)}."
    )
    return replace(chosen, value=value, promise=promise)


def called_at(counts: ScoreCounts, threshold: float) -> tuple[int, int]:
    """How many defective and how many good samples reach a threshold."""
    reached = counts.threshold >= threshold
    return int(counts.positive[reached].sum()), int(counts.negative[reached].sum())


def describe_calls(counts: ScoreCounts, threshold: float, unit: str) -> str:
    """Say what a threshold does to the calibration samples."""
    tp, fp = called_at(counts, threshold)
    n_good, n_defective = int(counts.negative.sum()), int(counts.positive.sum())
    missed = [f"{n_defective - tp} of {n_defective} defective {unit} missed"] if n_defective else []
    called = [f"{fp} of {n_good} good {'ones' if missed else unit} called defective"] if n_good else []
    return ", ".join(missed + called) or f"there are no labelled {unit}"


def _middle(lower: float, upper: float) -> float:
    """The float32 nearest to the middle, but above ``lower``: between neighbouring float32 numbers it is ``upper``."""
    middle = np.float32(lower / 2 + upper / 2)
    return float(middle) if middle > lower else float(np.float32(upper))


def next_above(score: float) -> float:
    """The next float32 above a score, subnormal numbers skipped: some runtimes flush those to zero, and 0 >= 0."""
    value = float(np.nextafter(np.float32(score), np.float32(np.inf)))
    tiny = float(np.finfo(np.float32).tiny)
    if -tiny < value < tiny and value != 0:
        return 0.0 if value < 0 else tiny
    return value


def good_scores(counts: ScoreCounts) -> tuple[FloatArray, FloatArray]:
    """Distinct scores of the good samples and how many share each; the middle of each bin where scores were binned."""
    held = counts.negative > 0
    return (counts.threshold[held] + counts.highest[held]) / 2, counts.negative[held]


def above_the_usual(centre: float, distance: float) -> float:
    """The float32 nearest to ``centre + distance``, but above ``centre``; the largest float32 where it lies beyond."""
    largest = float(np.finfo(np.float32).max)
    value = float(np.float32(min(centre + distance, largest)))
    return value if value > np.float32(centre) else next_above(centre)


MOST = 1e12  # of deviations, of money, and as a weight: their squares are still numbers


def check_k(k: float) -> None:
    """Refuse a number of deviations that is not positive.

    Raises:
        ValueError: Says so.
    """
    if not 0 < k <= MOST:
        raise ValueError(f"Expected k to be a positive number of deviations up to {MOST:g}, but got {k}; 3 is usual.")
