"""Two detectors on the same images: how much they differ, by resampling both alike.

Whether an image is hard is common to both detectors. Resampling the same groups for both cancels that, so that the
interval of the difference is often far narrower than the two intervals would suggest.

Shape letters: N images, G groups, B resamples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from .bootstrap import Estimate, Resampling, group_weights
from .curves import FloatArray, labelled
from .intervals import SortedImages, chunk_of, image_intervals, image_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

VERDICT_LINE = 0.5
"""Verdicts are 0 and 1: at this threshold the rates of verdicts are those of the detector, whatever its thresholds."""
_RANKING = ("auroc", "average_precision", "best_f1")
_DECISION = ("precision", "recall", "f1", "fpr")
_DEFAULT = Resampling()


class Judged(NamedTuple):
    """What a detector made of N images.

    Attributes:
        score_N: Raw, higher is worse.
        verdict_N: Whether each is called defective, at thresholds of the detector's own.
    """

    score_N: FloatArray
    verdict_N: npt.NDArray[np.bool_]


def judged_intervals(
    judged: Judged, label_N: npt.ArrayLike, group_N: npt.ArrayLike, resampling: Resampling = _DEFAULT
) -> dict[str, Estimate]:
    """Return image metrics of one detector, its rates by its own verdicts; names as in `intervals.image_metrics`."""
    verdict_N = judged.verdict_N.astype(np.float64)
    rates = image_intervals(verdict_N, label_N, group_N, VERDICT_LINE, resampling)
    ranking = image_intervals(judged.score_N, label_N, group_N, resampling=resampling)
    return {name: ranking[name] for name in _RANKING} | {name: rates[name] for name in _DECISION}


def paired_differences(
    first: Judged,
    second: Judged,
    label_N: npt.ArrayLike,
    group_N: npt.ArrayLike,
    resampling: Resampling = _DEFAULT,
) -> dict[str, Estimate]:
    """First less second for every image metric, with intervals from groups that are resampled for both alike.

    Where all resamples agree and yet the detectors differ in their scores, as when both separate perfectly, resampling
    can say nothing; then the interval is made of the two detectors' own, as if they were independent (Newcombe,
    Statistics in Medicine 17, 1998, p. 873, method 10), which is conservative.

    Args:
        first: Of the one detector.
        second: Of the other, on the same images in the same order.
        label_N: 0 good, 1 defective, -1 unknown; unknown images are left out.
        group_N: Group of each image.
        resampling: Number of resamples, confidence and seed.

    Returns:
        An `Estimate` in [-1, 1] for each metric; NaN throughout where it is undefined for either detector.
    """
    sides = [_resampled(judged, label_N, group_N, resampling) for judged in (first, second)]
    alone = [judged_intervals(judged, label_N, group_N, resampling) for judged in (first, second)]
    alike = {name: np.array_equal(first.score_N, second.score_N) for name in _RANKING}
    alike |= {name: np.array_equal(first.verdict_N, second.verdict_N) for name in _DECISION}
    return {
        name: _difference(
            sides[0][name] - sides[1][name], (alone[0][name], alone[1][name]), alike[name], resampling.confidence
        )
        for name in (*_RANKING, *_DECISION)
    }


def _resampled(
    judged: Judged, label_N: npt.ArrayLike, group_N: npt.ArrayLike, resampling: Resampling
) -> dict[str, FloatArray]:
    """Return every metric on every resample, (B,)."""
    known = np.asarray(label_N) != -1
    score, label = labelled(judged.score_N, label_N)
    verdict = judged.verdict_N[known].astype(np.float64)
    _, group = np.unique(np.asarray(group_N)[known], return_inverse=True)
    defective_G = np.bincount(group, weights=label) > 0
    by_score, by_verdict = SortedImages(score, label, group), SortedImages(verdict, label, group)
    parts: list[Mapping[str, FloatArray]] = []
    for weight_BG in group_weights(defective_G, resampling, chunk_of(score.size)):
        rates = image_metrics(by_verdict.counts(weight_BG), VERDICT_LINE)
        ranking = image_metrics(by_score.counts(weight_BG))
        parts.append({name: ranking[name] for name in _RANKING} | {name: rates[name] for name in _DECISION})
    return {name: np.concatenate([part[name] for part in parts]) for name in (*_RANKING, *_DECISION)}


def _difference(difference_B: FloatArray, alone: tuple[Estimate, Estimate], alike: bool, confidence: float) -> Estimate:
    """Return the percentile interval of resampled differences, or one made of both detectors' own intervals."""
    first, second = alone
    value = first.value - second.value
    if np.isnan(value):
        return Estimate(float("nan"), float("nan"), float("nan"))
    if alike:
        return Estimate(0.0, 0.0, 0.0)
    defined = difference_B[~np.isnan(difference_B)]
    if defined.size < 2 or np.ptp(defined) < 1e-12:
        low = value - np.hypot(first.value - first.low, second.high - second.value)
        high = value + np.hypot(first.high - first.value, second.value - second.low)
    else:
        low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(min(low, value)), float(max(high, value)))
