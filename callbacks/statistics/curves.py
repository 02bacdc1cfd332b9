"""Ranking metrics from counts per distinct score.

How many good and how many defective samples share each distinct score is all that ROC, precision-recall and overlap
curves depend on. Samples may be images, pixels, or pixels that have been binned; a bootstrap resample is the same
counts with other weights. So each metric is written once, here, on counts, and works on a whole stack of resamples in
one call.

Shape letters: N samples, T distinct scores in ascending order, ``...`` any number of leading axes (resamples).
A sample is called defective when ``score >= threshold``. Higher scores are worse. Labels: 0 good, 1 defective, -1
unknown.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class ScoreCounts(NamedTuple):
    """Good and defective samples at each distinct score.

    Attributes:
        threshold: (T,) the distinct scores, ascending; the lowest score of each bin where scores were binned.
        highest: (T,) the same scores again; the highest score that each bin can hold where scores were binned.
        negative: (..., T) number of good samples at each score.
        positive: (..., T) number of defective samples at each score.
    """

    threshold: FloatArray
    highest: FloatArray
    negative: FloatArray
    positive: FloatArray


def labelled(score_N: npt.ArrayLike, label_N: npt.ArrayLike) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Check scores and labels and keep the samples whose label is known.

    Args:
        score_N: Raw scores, unbounded. Infinities are allowed: they rank below or above everything else.
        label_N: 0 good, 1 defective, -1 unknown; booleans are understood.

    Returns:
        Scores (float64) and labels (0 or 1) of the samples that are not unknown, in the given order.

    Raises:
        ValueError: Where the shapes differ, a score is NaN, or a label is none of the three.
    """
    score = np.asarray(score_N, dtype=np.float64)
    label = np.asarray(label_N)
    if score.ndim != 1 or score.shape != label.shape:
        raise ValueError(
            f"Expected scores and labels to be two flat arrays of one length, but got shapes {score.shape} and "
            f"{label.shape}."
        )
    if count := int(np.isnan(score).sum()):
        raise ValueError(
            f"Expected every score to be a number, but {count} of {score.size} are NaN (the first at position "
            f"{int(np.isnan(score).argmax())}); a model that gives NaN has diverged or met a broken picture."
        )
    if found := sorted({float(value) for value in np.unique(label)} - {-1.0, 0.0, 1.0}):
        raise ValueError(f"Expected labels to be 0 (good), 1 (defective) or -1 (unknown), but found {found[:5]}.")
    known = label != -1
    return score[known], label[known].astype(np.int64)


def count_scores(score_N: npt.ArrayLike, label_N: npt.ArrayLike) -> ScoreCounts:
    """Count good and defective samples at each distinct score, in O(N log N); unknown samples are left out.

    Raises:
        ValueError: See `labelled`.
    """
    score, label = labelled(score_N, label_N)
    threshold, index = np.unique(score, return_inverse=True)
    negative, positive = (np.bincount(index[label == value], minlength=threshold.size) for value in (0, 1))
    return ScoreCounts(threshold, threshold, negative.astype(np.float64), positive.astype(np.float64))


def at_or_above(count_T: npt.ArrayLike) -> FloatArray:
    """Number of samples with ``score >= threshold``, for each threshold: (..., T) to (..., T)."""
    count = np.asarray(count_T, dtype=np.float64)
    called: FloatArray = np.cumsum(count[..., ::-1], axis=-1)[..., ::-1]
    return called


def ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
    """``part / whole`` element by element, and NaN where ``whole`` is zero."""
    part, whole = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    quotient: FloatArray = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole != 0)
    return quotient


def roc_auc(negative_T: npt.ArrayLike, positive_T: npt.ArrayLike) -> FloatArray:
    """Area under the ROC curve: the chance that a defective sample scores above a good one, ties counting half.

    Args:
        negative_T: Good samples at each distinct score, ascending, (..., T); weights are allowed.
        positive_T: Defective samples, same shape.

    Returns:
        Values in [0, 1] of shape (...), NaN where either class is missing.

    Source: Hanley and McNeil, "The meaning and use of the area under a ROC curve", Radiology 143, 1982.
    """
    negative, positive = np.asarray(negative_T, dtype=np.float64), np.asarray(positive_T, dtype=np.float64)
    below = np.cumsum(negative, axis=-1) - negative / 2
    return ratio((positive * below).sum(axis=-1), positive.sum(axis=-1) * negative.sum(axis=-1))


def average_precision(negative_T: npt.ArrayLike, positive_T: npt.ArrayLike) -> FloatArray:
    """Average precision: precision at each threshold, weighted by the recall gained there, without interpolation.

    Arguments as in `roc_auc`. NaN where there are no defective samples; 1 where there are no good ones.
    """
    positive = np.asarray(positive_T, dtype=np.float64)
    tp, fp = at_or_above(positive), at_or_above(negative_T)
    # Where nothing is called defective the precision is 0/0, and no recall is gained there: any number will do.
    precision = tp / np.maximum(tp + fp, np.finfo(np.float64).tiny)
    return ratio((precision * positive).sum(axis=-1), positive.sum(axis=-1))


def f_score(negative_T: npt.ArrayLike, positive_T: npt.ArrayLike, beta: float = 1.0) -> FloatArray:
    """F-beta of ``score >= threshold`` at each distinct score, (..., T); F1 by default.

    ``(1 + beta**2) tp / ((1 + beta**2) tp + beta**2 fn + fp)``; recall weighs ``beta`` times as much as precision
    (van Rijsbergen, Information Retrieval, 1979, ch. 7). NaN where there are no defective samples.
    """
    tp, fp = at_or_above(positive_T), at_or_above(negative_T)
    positives = np.asarray(positive_T, dtype=np.float64).sum(axis=-1, keepdims=True)
    weighted = np.where(positives > 0, beta**2 * positives, np.nan)  # makes the whole row NaN where it is undefined
    score: FloatArray = (1 + beta**2) * tp / (weighted + tp + fp)
    return score


def best_f_score(negative_T: npt.ArrayLike, positive_T: npt.ArrayLike, beta: float = 1.0) -> FloatArray:
    """Return the highest F-beta over all thresholds, shape (...); NaN where there are no defective samples."""
    score = f_score(negative_T, positive_T, beta)
    return score.max(axis=-1) if score.shape[-1] else np.full(score.shape[:-1], np.nan)


def overlap_area(negative_T: npt.ArrayLike, overlap_T: npt.ArrayLike, fpr_limit: float = 0.3) -> FloatArray:
    """Normalised area under overlap against false-positive rate, for rates up to a limit.

    With ``overlap_T`` the summed weights ``1 / |region|`` of the defect pixels at each score, this is AU-PRO. With the
    plain number of defective samples it is the partial ROC area, and `roc_auc` at a limit of 1.

    Args:
        negative_T: Good pixels of all images at each distinct score, ascending, (..., T).
        overlap_T: Overlap gained at each score, same shape; any scale, since it is divided by its sum.
        fpr_limit: In (0, 1]. The curve is interpolated linearly at the limit and the area is divided by it.

    Returns:
        Values in [0, 1] of shape (...), NaN where there are no good or no defect pixels.

    Raises:
        ValueError: Where the limit lies outside (0, 1].

    Source: Bergmann et al., "Uninformed Students", CVPR 2020, sec. 4; and "The MVTec AD dataset", IJCV 129, 2021.
    """
    if not 0 < fpr_limit <= 1:
        raise ValueError(f"Expected fpr_limit to be in (0, 1], but got {fpr_limit}; 0.3 and 0.05 are the usual ones.")
    negative, overlap = np.asarray(negative_T, dtype=np.float64), np.asarray(overlap_T, dtype=np.float64)
    # The curve runs from the highest threshold, where nothing is called defective, to the lowest, where all is.
    x1 = ratio(at_or_above(negative), negative.sum(axis=-1, keepdims=True))
    y1 = ratio(at_or_above(overlap), overlap.sum(axis=-1, keepdims=True))
    x0 = np.concatenate([x1[..., 1:], np.zeros_like(x1[..., :1])], axis=-1)
    y0 = np.concatenate([y1[..., 1:], np.zeros_like(y1[..., :1])], axis=-1)
    width = np.clip(fpr_limit - x0, 0, x1 - x0)
    inside = np.divide(width, x1 - x0, out=np.zeros_like(width), where=x1 > x0)
    area = (width * (y0 + inside * (y1 - y0) / 2)).sum(axis=-1) / fpr_limit
    defined = (negative.sum(axis=-1) > 0) & (overlap.sum(axis=-1) > 0)
    return np.where(defined, area, np.nan)


def rates_at(counts: ScoreCounts, threshold: float) -> dict[str, FloatArray]:
    """Precision, recall, F1 and false-positive rate of ``score >= threshold`` at one given threshold.

    Args:
        counts: Counts whose ``negative`` and ``positive`` may have leading axes. Of binned scores, exactly the bins
            that begin at or above the threshold count as called.
        threshold: Raw score units.

    Returns:
        ``precision``, ``recall``, ``f1`` and ``fpr``, each of shape (...). NaN where undefined: precision where
        nothing is called defective, recall and F1 where nothing is defective, the false-positive rate where nothing is
        good.
    """
    first = int(np.searchsorted(counts.threshold, threshold, side="left"))
    tp, fp = counts.positive[..., first:].sum(axis=-1), counts.negative[..., first:].sum(axis=-1)
    positives, negatives = counts.positive.sum(axis=-1), counts.negative.sum(axis=-1)
    return {
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, positives),
        "f1": np.where(positives > 0, ratio(2 * tp, positives + tp + fp), np.nan),
        "fpr": ratio(fp, negatives),
    }
