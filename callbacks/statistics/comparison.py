"""Several detectors judged on the same images: each with its intervals, and every two against each other.

Letters: N images, R detectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from .delong import AurocTest, compare_aurocs, holm
from .paired import judged_intervals, paired_differences

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from .bootstrap import Estimate, Resampling
    from .paired import Judged


@dataclass(frozen=True)
class Agreement:
    """How often two detectors judged labelled images rightly."""

    both: int
    first_only: int
    second_only: int
    neither: int


@dataclass(frozen=True)
class Pair:
    """Two detectors against each other.

    Attributes:
        first: Index of the one.
        second: Index of the other.
        differences: First less second, for every image metric, with intervals of a paired bootstrap by group.
        auroc: DeLong's test of the AUROCs.
        p_adjusted: Its p value, adjusted by Holm for the number of pairs.
        agreement: Of their verdicts with the labels.
    """

    first: int
    second: int
    differences: dict[str, Estimate]
    auroc: AurocTest
    p_adjusted: float
    agreement: Agreement


@dataclass(frozen=True)
class Comparison:
    """R detectors on the same images.

    Attributes:
        estimates: Every image metric of each detector.
        pairs: Every two of them, in order.
    """

    estimates: list[dict[str, Estimate]]
    pairs: list[Pair]


def compare(
    judged_R: Sequence[Judged], label_N: npt.NDArray[np.int64], group_N: npt.NDArray[np.str_], resampling: Resampling
) -> Comparison:
    """Compare detectors on the same N images, in the same order.

    Args:
        judged_R: Scores and verdicts of each.
        label_N: 0 good, 1 defective, -1 unknown, which plays no part.
        group_N: Groups, whole in every resample.
        resampling: Of the intervals.
    """
    estimates = [judged_intervals(judged, label_N, group_N, resampling) for judged in judged_R]
    pairs = list(combinations(range(len(judged_R)), 2))
    tests = [
        compare_aurocs(judged_R[a].score_N, judged_R[b].score_N, label_N, group_N, resampling.confidence)
        for a, b in pairs
    ]
    adjusted = holm([test.p_value for test in tests])
    return Comparison(
        estimates,
        [
            Pair(
                a,
                b,
                paired_differences(judged_R[a], judged_R[b], label_N, group_N, resampling),
                test,
                float(p_value),
                agreement(judged_R[a], judged_R[b], label_N),
            )
            for (a, b), test, p_value in zip(pairs, tests, adjusted, strict=True)
        ],
    )


def agreement(first: Judged, second: Judged, label_N: npt.NDArray[np.int64]) -> Agreement:
    """Count labelled images by who judged them rightly."""
    known = label_N >= 0
    one, other = ((judged.verdict_N == (label_N == 1))[known] for judged in (first, second))
    return Agreement(
        int((one & other).sum()), int((one & ~other).sum()), int((~one & other).sum()), int((~one & ~other).sum())
    )
