"""Paired differences, against a slow bootstrap and what must hold for any pair."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import average_precision_score, f1_score, recall_score, roc_auc_score

from callbacks.statistics.bootstrap import Resampling, group_weights
from callbacks.statistics.paired import Judged, judged_intervals, paired_differences

LABEL = np.repeat([0, 1], [40, 25])
GROUP = np.arange(65) // 2
FAST = Resampling(resamples=300)


def judged(seed: int, shift: float, threshold: float = 0.5) -> Judged:
    hard = np.random.default_rng(99).normal(0, 1, LABEL.size)
    score = np.random.default_rng(seed).normal(LABEL * shift, 0.6) + hard
    return Judged(score, score >= threshold)


def test_values_equal_scikit_learn() -> None:
    one = judged(0, 1.5)
    found = judged_intervals(one, LABEL, GROUP, FAST)
    assert found["auroc"].value == pytest.approx(roc_auc_score(LABEL, one.score_N))
    assert found["average_precision"].value == pytest.approx(average_precision_score(LABEL, one.score_N))
    assert found["f1"].value == pytest.approx(f1_score(LABEL, one.verdict_N))
    assert found["fpr"].value == pytest.approx(one.verdict_N[LABEL == 0].mean())


def test_the_bootstrap_resamples_both_alike() -> None:
    """The same draws of groups, image by image, through scikit-learn."""
    first, second = judged(0, 1.5), judged(1, 0.8)
    resampling = Resampling(resamples=60)
    defective_G = np.bincount(GROUP, weights=LABEL) > 0
    (weight_BG,) = list(group_weights(defective_G, resampling, 60))
    auroc, recall = [], []
    for weight_G in weight_BG:
        rows = np.repeat(np.arange(LABEL.size), weight_G[GROUP].astype(int))
        a, b = (roc_auc_score(LABEL[rows], one.score_N[rows]) for one in (first, second))
        c, d = (recall_score(LABEL[rows], one.verdict_N[rows]) for one in (first, second))
        auroc.append(a - b)
        recall.append(c - d)
    found = paired_differences(first, second, LABEL, GROUP, resampling)
    assert [found["auroc"].low, found["auroc"].high] == pytest.approx(np.quantile(auroc, [0.025, 0.975]))
    assert [found["recall"].low, found["recall"].high] == pytest.approx(np.quantile(recall, [0.025, 0.975]))


def test_pairing_narrows_the_interval() -> None:
    first, second = judged(0, 1.5), judged(1, 1.2)
    found = paired_differences(first, second, LABEL, GROUP, FAST)["auroc"]
    alone = [judged_intervals(one, LABEL, GROUP, FAST)["auroc"] for one in (first, second)]
    apart = np.hypot(alone[0].high - alone[0].low, alone[1].high - alone[1].low)
    assert found.high - found.low < 0.8 * apart


def test_swapping_turns_the_sign() -> None:
    first, second = judged(0, 1.5), judged(1, 0.8)
    one, other = (
        paired_differences(first, second, LABEL, GROUP, FAST),
        paired_differences(second, first, LABEL, GROUP, FAST),
    )
    for name, estimate in one.items():
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
            (-other[name].value, -other[name].high, -other[name].low)
        )


def test_a_run_does_not_differ_from_itself() -> None:
    one = judged(0, 1.5)
    assert all(estimate.low == estimate.high == 0 for estimate in paired_differences(one, one, LABEL, GROUP).values())


def test_two_perfect_detectors_are_not_certain_to_be_equal() -> None:
    first = Judged(LABEL * 2.0 + np.linspace(0, 0.5, LABEL.size), LABEL > 0)
    second = Judged(LABEL * 3.0 - np.linspace(0, 0.5, LABEL.size), LABEL > 0)
    found = paired_differences(first, second, LABEL, GROUP, FAST)
    assert found["auroc"].value == 0
    assert found["auroc"].low < 0 < found["auroc"].high
    assert found["recall"].low == found["recall"].high == 0  # the same verdicts on every image


def test_unknown_pictures_and_missing_classes() -> None:
    first, second = judged(0, 1.5), judged(1, 0.8)
    label = LABEL.copy()
    label[-3:] = -1
    found = paired_differences(first, second, label, GROUP, FAST)
    known: npt.NDArray[np.bool_] = label != -1
    a, b = (roc_auc_score(label[known], one.score_N[known]) for one in (first, second))
    assert found["auroc"].value == pytest.approx(a - b)
    assert np.isnan(paired_differences(first, second, np.zeros(65), GROUP, FAST)["auroc"].value)
