"""Intervals of image metrics: right values, honest widths, groups kept whole."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from callbacks.statistics.bootstrap import Resampling, wilson
from callbacks.statistics.intervals import image_intervals
from callbacks.statistics.ranking_interval import auroc_interval

Floats = np.ndarray[Any, np.dtype[np.float64]]
Labels = np.ndarray[Any, np.dtype[np.int64]]


def pictures(groups: int, per_group: int, spread: float, seed: int) -> tuple[Floats, Labels, list[str]]:
    """Groups of either class, half of each; scores share a part per group of the given spread."""
    generator = np.random.default_rng(seed)
    label = np.repeat(np.arange(groups) % 2, per_group)
    shared = np.repeat(generator.normal(size=groups) * spread, per_group)
    score = shared + generator.normal(size=groups * per_group) * (1 - spread**2) ** 0.5 + label
    return score, label, [f"part {i // per_group:03}" for i in range(groups * per_group)]


def test_values_agree_with_scikit_learn() -> None:
    score, label, group = pictures(40, 5, 0.5, seed=0)
    score = np.round(score, 1)
    estimates = image_intervals(score, label, group, threshold=0.7, resampling=Resampling(50))
    precision, recall, _ = sk.precision_recall_curve(label, score)
    called = score >= 0.7
    expected = {
        "auroc": sk.roc_auc_score(label, score),
        "average_precision": sk.average_precision_score(label, score),
        "best_f1": (2 * precision * recall / (precision + recall)).max(),
        "precision": sk.precision_score(label, called),
        "recall": sk.recall_score(label, called),
        "f1": sk.f1_score(label, called),
        "fpr": called[label == 0].mean(),
    }
    assert {name: estimate.value for name, estimate in estimates.items()} == pytest.approx(expected)
    for estimate in estimates.values():
        assert 0 <= estimate.low < estimate.value < estimate.high <= 1


def test_resampled_values_are_those_of_the_pictures_drawn() -> None:
    # Two groups of each class: a resample holds each group 0, 1 or 2 times, so the extremes can be written down.
    score, label = np.array([1.0, 4, 2, 3]), np.array([0, 0, 1, 1])
    estimate = image_intervals(score, label, ["a", "b", "c", "d"], resampling=Resampling(500))["auroc"]
    assert (estimate.value, estimate.low, estimate.high) == (0.5, 0.0, 1.0)


@pytest.mark.parametrize("grouped", [True, False])
def test_order_of_pictures_makes_no_difference(*, grouped: bool) -> None:
    score, label, group = pictures(10, 6, 0.5, seed=1)
    names = np.array(group) if grouped else np.array([f"{i:02}.png" for i in range(60)])
    label[::7] = -1
    order = np.random.default_rng(2).permutation(60)
    resampling = Resampling(100, seed=3)
    expected = image_intervals(score, label, names, 0.5, resampling)
    assert image_intervals(score[order], label[order], names[order], 0.5, resampling) == expected
    known = label >= 0
    assert image_intervals(score[known], label[known], names[known], 0.5, resampling) == expected


def test_copies_of_pictures_inside_a_group_do_not_narrow_the_interval() -> None:
    score, label, group = pictures(20, 3, 0.5, seed=4)
    resampling = Resampling(200)
    once = image_intervals(score, label, group, 0.5, resampling)
    copied = image_intervals(np.tile(score, 5), np.tile(label, 5), np.tile(group, 5), 0.5, resampling)
    for name, estimate in once.items():
        assert copied[name].to_dict() == pytest.approx(estimate.to_dict(), abs=1e-12)
    # As images of their own, the copies would count as evidence.
    alone = image_intervals(np.tile(score, 5), np.tile(label, 5), np.arange(300), 0.5, resampling)
    assert alone["auroc"].high - alone["auroc"].low < (once["auroc"].high - once["auroc"].low) / 1.5


def test_perfect_separation_is_not_certainty() -> None:
    label = np.arange(40) < 8
    estimates = image_intervals(label + np.linspace(0, 0.5, 40), label, np.arange(40), threshold=0.9)
    for name in ("average_precision", "best_f1", "precision", "recall", "f1"):
        assert (estimates[name].low, estimates[name].high) == wilson(1.0, 8)
    assert (estimates["auroc"].low, estimates["auroc"].high) == auroc_interval(1.0, 32, 8)
    assert (estimates["fpr"].low, estimates["fpr"].high) == wilson(0.0, 32)


def test_many_pictures_of_one_defective_part_are_one_piece_of_evidence() -> None:
    label = np.arange(100) < 50
    group = np.where(label, "the only defective part", np.arange(100).astype(str))
    estimate = image_intervals(label + np.random.default_rng(0).normal(size=100), label, group)["auroc"]
    assert (estimate.low, estimate.high) == wilson(estimate.value, 1)


@pytest.mark.parametrize("label", [0, 1])
def test_with_one_class_only_what_is_defined_is_given(label: int) -> None:
    estimates = image_intervals(np.arange(10.0), np.full(10, label), np.arange(10), threshold=5)
    undefined = {name for name, estimate in estimates.items() if np.isnan(estimate.value)}
    assert undefined == ({"auroc", "fpr"} if label else {"auroc", "average_precision", "best_f1", "recall", "f1"})


def coverage(spread: float, per_group: int, *, grouped: bool) -> float:
    """How often the interval of AUROC holds the true value, over simulated test sets."""
    truth = NormalDist().cdf(1 / 2**0.5)  # of normal scores whose means differ by one standard deviation
    repeats, held = 100, 0
    for seed in range(repeats):
        score, label, group = pictures(60, per_group, spread, seed)
        names = group if grouped else list(range(len(group)))
        estimate = image_intervals(score, label, names, resampling=Resampling(100))["auroc"]
        held += estimate.low <= truth <= estimate.high
    return held / repeats


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    assert 0.89 <= coverage(spread=0.0, per_group=1, grouped=True) <= 0.99


def test_pictures_that_resemble_each_other_need_their_groups() -> None:
    assert coverage(spread=0.9, per_group=8, grouped=True) >= 0.88
    assert coverage(spread=0.9, per_group=8, grouped=False) <= 0.75


def test_a_missing_group_name_is_refused() -> None:
    with pytest.raises(ValueError, match="one group name per picture"):
        image_intervals([1.0, 2.0], [0, 1], ["a"])
