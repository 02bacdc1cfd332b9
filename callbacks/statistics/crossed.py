"""Ways to judge the same labelled images, each by what it did not learn from, and whether they can be told apart.

Letters: N labelled images, F folds, B resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from .bootstrap import Estimate, wilson
from .ranking_interval import auroc_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Places = npt.NDArray[np.intp]

RESAMPLES = 2000
CONFIDENCE = 95.0


class Fold(NamedTuple):
    """Places of the images that are learnt from, and of those that are judged then."""

    learn: Places
    judge: Places


@dataclass(frozen=True)
class Judged:
    """What one way makes of all images, each judged by what was learnt without it and its group.

    Attributes:
        score_N: Higher is worse.
        called_N: Whether it was called defective.
    """

    score_N: Floats
    called_N: Flags


@dataclass(frozen=True)
class Measured:
    """How well one way does.

    Attributes:
        auroc: With its interval; of folds that learn a scale of their own, over all of them together.
        missed: Share of defective images that were called good.
        alarms: Share of good images that were called defective.
        errors: Mean of both, with an interval by resampling groups, at least as wide as the intervals of both allow.
    """

    auroc: Estimate
    missed: Estimate
    alarms: Estimate
    errors: Estimate


def make_folds(label_N: npt.ArrayLike, group_N: Sequence[str], folds: int, seed: int) -> list[Fold]:
    """Cut images to folds, each with good and defective ones where it can be, and no group in two of them.

    There are at most as many as either class has groups.

    Raises:
        ValueError: A class has fewer than two groups.
    """
    label, group = np.asarray(label_N), np.asarray(group_N)
    each = [len(set(group[label == one].tolist())) for one in (0, 1)]
    if min(each) < 2:
        raise ValueError(
            f"Expected good and defective images of at least 2 groups each, but found {each[0]} and {each[1]}; label "
            "more: what was learnt from an image says nothing of how it is judged."
        )
    cut = StratifiedGroupKFold(min(folds, *each), shuffle=True, random_state=seed)
    return [Fold(learn, judge) for learn, judge in cut.split(label, label, group) if len(set(label[learn])) == 2]


def measure(judged: Judged, label_N: npt.ArrayLike, group_N: Sequence[str], seed: int = 0) -> Measured:
    """Measure AUROC, missed defects and false alarms of one way of judging, with intervals over groups."""
    bad_N = np.asarray(label_N) == 1
    good, bad = int((~bad_N).sum()), int(bad_N.sum())
    auroc = float(roc_auc_score(bad_N, judged.score_N))
    missed, alarms = float((~judged.called_N[bad_N]).mean()), float(judged.called_N[~bad_N].mean())
    resampled_B = balanced_errors(judged.called_N, bad_N, weights_of(bad_N, group_N, seed))
    low, high = np.percentile(resampled_B, [50 - CONFIDENCE / 2, 50 + CONFIDENCE / 2])
    both = Estimate(missed, *wilson(missed, bad)), Estimate(alarms, *wilson(alarms, good))
    lower, upper = mean_interval(*both)
    return Measured(
        Estimate(auroc, *auroc_interval(auroc, good, bad)),
        *both,
        Estimate((missed + alarms) / 2, min(float(low), lower), max(float(high), upper)),
    )


def mean_interval(one: Estimate, other: Estimate) -> tuple[float, float]:
    """Bound the mean of two shares that were seen on images of their own, from the interval of each.

    Where hardly any image is called wrongly, resampling draws nearly the same each time and claims a certainty that so
    few images do not give; these bounds do not. Source: Newcombe, "Interval estimation for the difference between
    independent proportions", Statistics in Medicine 17, 1998, p. 873, method 10; for sums Zou and Donner, ibid. 27,
    2008, p. 1693.
    """
    mean = (one.value + other.value) / 2
    low = mean - np.hypot(one.value - one.low, other.value - other.low) / 2
    high = mean + np.hypot(one.high - one.value, other.high - other.value) / 2
    return float(max(low, 0.0)), float(min(high, 1.0))


def gain(one: Judged, other: Judged, label_N: npt.ArrayLike, group_N: Sequence[str], seed: int = 0) -> Estimate:
    """Say how much less ``other`` errs than ``one`` (mean of both shares), with an interval.

    It is by resampling groups, and at least as wide as the few images allow that only one of both gets right.
    """
    bad_N = np.asarray(label_N) == 1
    weight_BN = weights_of(bad_N, group_N, seed)
    gain_B = balanced_errors(one.called_N, bad_N, weight_BN) - balanced_errors(other.called_N, bad_N, weight_BN)
    whole = np.ones((1, len(bad_N)))
    value = balanced_errors(one.called_N, bad_N, whole)[0] - balanced_errors(other.called_N, bad_N, whole)[0]
    low, high = np.percentile(gain_B, [50 - CONFIDENCE / 2, 50 + CONFIDENCE / 2])
    lower, upper = paired_interval(one.called_N == bad_N, other.called_N == bad_N, bad_N)
    return Estimate(float(value), min(float(low), float(value), lower), max(float(high), float(value), upper))


def paired_interval(one_right_N: Flags, other_right_N: Flags, bad_N: Flags) -> tuple[float, float]:
    """Bound how much more often ``other`` is right than ``one``, on the same images: mean of both classes.

    Source: Agresti and Min, "Simple improved confidence intervals for comparing matched proportions", Statistics in
    Medicine 24, 2005, p. 729: half an image is added to each of the four cells, here of each class. (0, 0) where no
    image tells the two apart.
    """
    if (one_right_N == other_right_N).all():
        return 0.0, 0.0
    middle = variance = 0.0
    for part_N in (bad_N, ~bad_N):
        count = int(part_N.sum()) + 2
        better = int((other_right_N & ~one_right_N & part_N).sum())
        worse = int((one_right_N & ~other_right_N & part_N).sum())
        middle += (better - worse) / count / 2
        variance += (better + worse + 1 - (better - worse) ** 2 / count) / count**2 / 4
    half = NormalDist().inv_cdf((100 + CONFIDENCE) / 200) * variance**0.5
    return float(middle - half), float(middle + half)


def balanced_errors(called_N: Flags, bad_N: Flags, weight_BN: Floats) -> Floats:
    """Return the mean of the shares of missed defects and of false alarms, for every weighing of the images."""
    missed_B = (weight_BN * (bad_N & ~called_N)).sum(1) / (weight_BN * bad_N).sum(1)
    alarms_B = (weight_BN * (~bad_N & called_N)).sum(1) / (weight_BN * ~bad_N).sum(1)
    return np.asarray((missed_B + alarms_B) / 2, dtype=np.float64)


def weights_of(bad_N: Flags, group_N: Sequence[str], seed: int) -> Floats:
    """Draw groups with replacement, those with a defective image and those without apart: (B, N) times drawn.

    Resamples that lack a class are left out.
    """
    names, place_N = np.unique(np.asarray(group_N), return_inverse=True)
    holds_G = np.zeros(len(names), dtype=bool)
    np.logical_or.at(holds_G, place_N, bad_N)
    rng = np.random.default_rng(seed)
    drawn_BG = np.zeros((RESAMPLES, len(names)))
    for part in (np.flatnonzero(holds_G), np.flatnonzero(~holds_G)):
        if len(part):
            drawn_BG[:, part] = rng.multinomial(len(part), np.full(len(part), 1 / len(part)), RESAMPLES)
    weight_BN = drawn_BG[:, place_N]
    whole_B = ((weight_BN * bad_N).sum(1) > 0) & ((weight_BN * ~bad_N).sum(1) > 0)
    return np.asarray(weight_BN[whole_B], dtype=np.float64)
