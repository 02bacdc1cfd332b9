"""Ranking metrics against scikit-learn, over sizes, ties and class balances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from callbacks.statistics.curves import (
    ScoreCounts,
    average_precision,
    best_f_score,
    count_scores,
    f_score,
    overlap_area,
    rates_at,
    roc_auc,
)

Samples = tuple[np.ndarray[Any, np.dtype[np.float32]], np.ndarray[Any, np.dtype[np.int64]]]


def samples(size: int, levels: int | None, share: float, seed: int = 0) -> Samples:
    """Scores with a given number of distinct levels (None: no ties) and labels with a given share of defects."""
    generator = np.random.default_rng([size, levels or 0, int(share * 100), seed])
    label = np.zeros(size, dtype=np.int64)
    label[: max(round(share * size), int(share > 0))] = 1
    score = generator.normal(size=size) + label
    if levels is not None:
        score = np.round(score * levels / 4)
    return score.astype(np.float32), label


GRID = [(n, levels, share) for n in (1, 2, 7, 100, 5000) for levels in (None, 20, 1) for share in (0, 0.02, 0.5, 1)]


@pytest.mark.parametrize(("size", "levels", "share"), GRID)
def test_metrics_agree_with_scikit_learn(size: int, levels: int | None, share: float) -> None:
    score, label = samples(size, levels, share)
    counts = count_scores(score, label)
    if 0 < label.sum() < size:
        assert roc_auc(counts.negative, counts.positive) == pytest.approx(sk.roc_auc_score(label, score), abs=1e-12)
    else:
        assert np.isnan(roc_auc(counts.negative, counts.positive))
    if label.any():
        expected = sk.average_precision_score(label, score)
        assert average_precision(counts.negative, counts.positive) == pytest.approx(expected, abs=1e-12)
        expected_f2 = [sk.fbeta_score(label, score >= t, beta=2) for t in counts.threshold[:50]]
        np.testing.assert_allclose(f_score(counts.negative, counts.positive, beta=2)[:50], expected_f2, atol=1e-12)
        precision, recall, _ = sk.precision_recall_curve(label, score)
        expected_best = (2 * precision * recall / np.maximum(precision + recall, 1e-300)).max()
        assert best_f_score(counts.negative, counts.positive) == pytest.approx(expected_best, abs=1e-12)
    else:
        assert np.isnan(average_precision(counts.negative, counts.positive))
        assert np.isnan(best_f_score(counts.negative, counts.positive))


@pytest.mark.parametrize("levels", [None, 20, 1])
def test_a_stack_of_weighted_counts_is_each_of_its_rows(levels: int | None) -> None:
    score, label = samples(200, levels, 0.3)
    weight_BN = np.random.default_rng(1).integers(0, 4, size=(6, 200)).astype(float)
    threshold = np.unique(score).astype(np.float64)
    negative, positive = (
        np.stack([[w[(score == t) & (label == c)].sum() for t in threshold] for w in weight_BN]) for c in (0, 1)
    )
    for row, weight in enumerate(weight_BN):
        auc = sk.roc_auc_score(label, score, sample_weight=weight)
        ap = sk.average_precision_score(label, score, sample_weight=weight)
        assert roc_auc(negative, positive)[row] == pytest.approx(auc, abs=1e-12)
        assert average_precision(negative, positive)[row] == pytest.approx(ap, abs=1e-12)
        precision, recall, _ = sk.precision_recall_curve(label, score, sample_weight=weight)
        f1 = (2 * precision * recall / np.maximum(precision + recall, 1e-300)).max()
        assert best_f_score(negative, positive)[row] == pytest.approx(f1, abs=1e-12)
        rates = rates_at(ScoreCounts(threshold, threshold, negative, positive), 0.5)
        assert rates["recall"][row] == pytest.approx(
            sk.recall_score(label, score >= 0.5, sample_weight=weight, zero_division=0), abs=1e-12
        )


def test_a_row_without_one_class_is_undefined_and_leaves_the_others_alone() -> None:
    negative, positive = np.array([[3, 1], [0, 0], [2, 2]]), np.array([[1, 3], [1, 1], [0, 0]])
    assert roc_auc(negative, positive) == pytest.approx([0.75, np.nan, np.nan], nan_ok=True)
    assert average_precision(negative, positive) == pytest.approx([0.6875, 1, np.nan], nan_ok=True)
    assert best_f_score(negative, positive) == pytest.approx([0.75, 1, np.nan], nan_ok=True)
    assert overlap_area(negative, positive, 1.0) == pytest.approx([0.75, np.nan, np.nan], nan_ok=True)


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("levels", [None, 20, 1])
def test_overlap_area_of_plain_counts_is_the_partial_roc_area(levels: int | None, limit: float) -> None:
    score, label = samples(500, levels, 0.3)
    counts = count_scores(score, label)
    # scikit-learn gives McClish's standardised value; undo the standardisation.
    mcclish = sk.roc_auc_score(label, score, max_fpr=limit)
    lowest, highest = limit**2 / 2, limit
    expected = mcclish if limit == 1 else (lowest + (2 * mcclish - 1) * (highest - lowest)) / limit
    assert overlap_area(counts.negative, counts.positive, limit) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.5, float("nan")])
def test_overlap_area_refuses_limits_outside_the_unit_interval(limit: float) -> None:
    with pytest.raises(ValueError, match="fpr_limit"):
        overlap_area([1.0], [1.0], limit)


@pytest.mark.parametrize("threshold", [-100.0, 0.0, 0.3, 1.0, 100.0])
def test_rates_at_a_threshold_agree_with_scikit_learn(threshold: float) -> None:
    score, label = samples(300, 20, 0.2)
    rates = rates_at(count_scores(score, label), threshold)
    called = score >= threshold
    assert rates["recall"] == pytest.approx(sk.recall_score(label, called))
    assert rates["f1"] == pytest.approx(sk.f1_score(label, called))
    assert rates["fpr"] == pytest.approx(called[label == 0].mean())
    if called.any():
        assert rates["precision"] == pytest.approx(sk.precision_score(label, called))
    else:
        assert np.isnan(rates["precision"])


def test_infinite_scores_rank_like_any_other() -> None:
    label = np.array([0, 1, 0, 1, 0, 1])
    infinite, finite = (
        count_scores([-np.inf, -1, 0, 1, np.inf, np.inf], label),
        count_scores([-9, -1, 0, 1, 9, 9], label),
    )
    assert roc_auc(infinite.negative, infinite.positive) == roc_auc(finite.negative, finite.positive)
    assert rates_at(infinite, np.inf)["recall"] == rates_at(finite, 9)["recall"]


def test_unknown_pictures_are_left_out() -> None:
    known, some_unknown = count_scores([1, 2, 3], [0, 1, 1]), count_scores([1, 7, 2, 3], [0, -1, 1, 1])
    for one, other in zip(known, some_unknown, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("score", "label", "message"),
    [
        ([1.0, np.nan, 2.0], [0, 1, 0], "1 of 3 are NaN .the first at position 1"),
        ([1.0, 2.0], [0, 2], "but found .2.0"),
        ([1.0, 2.0], [0, 1, 1], r"shapes \(2,\) and \(3,\)"),
        ([[1.0]], [[0]], "flat arrays"),
    ],
)
def test_broken_input_is_refused_with_what_was_found(score: list[float], label: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        count_scores(score, label)
