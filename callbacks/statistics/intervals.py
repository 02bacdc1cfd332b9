"""Image metrics with their confidence intervals.

Shape letters: N images, G groups, B resamples, T distinct scores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .bootstrap import Estimate, Resampling, group_weights, interval, order_by_content
from .curves import FloatArray, ScoreCounts, average_precision, best_f_score, labelled, rates_at, roc_auc
from .ranking_interval import auroc_interval

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHUNK_ELEMENTS = 1 << 17  # of the widest array per chunk of resamples: 1 MiB in float64, which caches hold
_DEFAULT = Resampling()


def image_metrics(counts: ScoreCounts, threshold: float | None = None) -> dict[str, FloatArray]:
    """Return all image metrics from counts per distinct score, whose counts may have leading axes (...).

    Returns:
        ``auroc``, ``average_precision``, ``best_f1`` and, where a threshold is given, ``precision``, ``recall``,
        ``f1`` and ``fpr`` of ``score >= threshold``; each of shape (...), NaN where undefined.
    """
    metrics = {
        "auroc": roc_auc(counts.negative, counts.positive),
        "average_precision": average_precision(counts.negative, counts.positive),
        "best_f1": best_f_score(counts.negative, counts.positive),
    }
    return metrics if threshold is None else metrics | rates_at(counts, threshold)


def image_intervals(
    score_N: npt.ArrayLike,
    label_N: npt.ArrayLike,
    group_N: npt.ArrayLike,
    threshold: float | None = None,
    resampling: Resampling = _DEFAULT,
) -> dict[str, Estimate]:
    """Return image metrics with confidence intervals from resampled groups.

    Args:
        score_N: Raw scores, higher is worse; infinities are allowed, NaN is not.
        label_N: 0 good, 1 defective, -1 unknown; unknown images are left out.
        group_N: Name of each image's group, of any type that sorts; the image's path where images stand alone.
            Groups are drawn in the order of what they hold: neither names nor the order of images matter.
        threshold: Raw score units; adds precision, recall, F1 and false-positive rate of ``score >= threshold``.
        resampling: Number of resamples, confidence and seed.

    Returns:
        An `Estimate` for each name in `image_metrics`; NaN throughout where the value is undefined. That of ``auroc``
        is never narrower than Newcombe's from as many groups: see ``ranking_interval``.

    Raises:
        ValueError: Where the arrays differ in length, a score is NaN, or a label is none of the three.
    """
    score, label = labelled(score_N, label_N)
    group = np.asarray(group_N)
    if group.shape != np.shape(label_N):
        raise ValueError(
            f"Expected one group name per picture, but got shape {group.shape} for {np.shape(label_N)[0]} pictures; "
            "give the picture's path where pictures stand alone."
        )
    _, group_index = np.unique(group[np.asarray(label_N) != -1], return_inverse=True)
    group_index = order_by_content(group_index, score, label)
    defective_G = np.bincount(group_index, weights=label) > 0
    images = SortedImages(score, label, group_index)
    values = image_metrics(images.counts(np.ones((1, defective_G.size))), threshold)
    resampled = [
        image_metrics(images.counts(weight_BG), threshold)
        for weight_BG in group_weights(defective_G, resampling, chunk_of(score.size))
    ]
    good_groups, defective_groups = np.unique(group_index[label == 0]).size, int(defective_G.sum())
    estimates = {
        name: interval(
            float(value[0]),
            np.concatenate([part[name] for part in resampled]),
            carrying_groups(name, good_groups, defective_groups),
            resampling.confidence,
        )
        for name, value in values.items()
    }
    return estimates | {"auroc": _of_auroc(estimates["auroc"], good_groups, defective_groups, resampling.confidence)}


def _of_auroc(resampled: Estimate, good: int, defective: int, confidence: float) -> Estimate:
    """Widen the interval of an AUROC to what its numbers of groups allow; at 0 and 1, that is the interval.

    So a figure that is nearly 1 has nearly the interval of one that is 1, on the same images.
    """
    if np.isnan(resampled.value):
        return resampled
    low, high = auroc_interval(resampled.value, good, defective, confidence)
    if min(good, defective) > 1 and resampled.value in (0.0, 1.0):
        return Estimate(resampled.value, low, high)
    return Estimate(resampled.value, min(low, resampled.low), max(high, resampled.high))


def carrying_groups(metric: str, good: int, defective: int) -> int:
    """Count the groups that carry a metric: those of the class that enters it, of the scarcer one where both do.

    Args:
        metric: Name of the metric; ``recall`` reads defective images only, ``fpr`` good ones only.
        good: Number of groups that hold a good image.
        defective: Number of groups that hold a defective image.
    """
    only: Mapping[str, int] = {"recall": defective, "fpr": good}
    return only.get(metric, min(good, defective))


def chunk_of(images: int) -> int:
    """Tell how many resamples to count at a time, so that the arrays stay in the processor's caches."""
    return max(1, _CHUNK_ELEMENTS // max(images, 1))


class SortedImages:
    """Images in ascending order of their scores, ready to be counted under any weights of their groups."""

    def __init__(
        self, score_N: FloatArray, label_N: npt.NDArray[np.int64], group_index_N: npt.NDArray[np.intp]
    ) -> None:
        order = np.argsort(score_N, kind="stable")
        self.label_N, self.group_N = label_N[order], group_index_N[order]
        self.threshold_T, self.start_T = np.unique(score_N[order], return_index=True)

    def counts(self, weight_BG: FloatArray) -> ScoreCounts:
        """Weighted good and defective images at each distinct score, (B, T)."""
        weight_BN = weight_BG[:, self.group_N]
        positive_BN = weight_BN * self.label_N
        negative_BN = weight_BN - positive_BN
        if self.start_T.size < self.label_N.size:
            positive_BN, negative_BN = (np.add.reduceat(x, self.start_T, axis=1) for x in (positive_BN, negative_BN))
        return ScoreCounts(self.threshold_T, self.threshold_T, negative_BN, positive_BN)
