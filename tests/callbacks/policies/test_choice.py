"""Threshold policies against brute force, and the promises they make."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from callbacks.policies.choice import choose_threshold
from callbacks.policies.conformal import Conformal
from callbacks.policies.cost import Cost
from callbacks.policies.f1 import F1
from callbacks.policies.fixed import Fixed
from callbacks.policies.grid import Grid
from callbacks.policies.mean_sigma import MeanSigma
from callbacks.policies.normal import Normal
from callbacks.policies.recall import Recall
from callbacks.statistics.threshold_table import precision_recall_f1

if TYPE_CHECKING:
    from callbacks.policies.base import Policy

Scores = np.ndarray[Any, np.dtype[np.float32]]
Labels = np.ndarray[Any, np.dtype[np.int64]]

KINDS = ["smooth", "ties", "neighbours", "subnormal", "huge", "negative", "separable", "constant"]


def scores(kind: str, size: int, seed: int) -> tuple[Scores, Labels]:
    generator = np.random.default_rng([KINDS.index(kind), size, seed])
    label = (generator.random(size) < 0.3).astype(np.int64)
    label[0] = 0
    if size > 1:
        label[1] = 1
    rank = generator.normal(size=size) + label
    step = np.round(rank * 3).astype(np.int32)
    score = {
        "smooth": rank,
        "ties": step,
        "neighbours": (np.float32(1).view(np.int32) + step).view(np.float32),  # differ in the last bit of a float32
        "subnormal": step * 1e-44,
        "huge": np.clip(rank, -3, 3) * 1e38,
        "negative": rank - 1000,
        "separable": label + generator.random(size) / 2,
        "constant": np.full(size, 0.1),
    }[kind]
    return np.asarray(score, dtype=np.float32), label


def best_f_by_hand(score: Scores, label: Labels, beta: int) -> float:
    """The lowest score among those whose F-beta, as an exact fraction, is highest."""
    best, chosen = Fraction(-1), 0.0
    for candidate in np.unique(score)[::-1]:
        called = score >= candidate
        tp, fp, fn = (int(x.sum()) for x in (called & (label == 1), called & (label == 0), ~called & (label == 1)))
        value = Fraction((1 + beta**2) * tp, (1 + beta**2) * tp + beta**2 * fn + fp)
        if value >= best:
            best, chosen = value, float(candidate)
    return chosen


@pytest.mark.parametrize("beta", [1, 2])
@pytest.mark.parametrize("size", [2, 5, 40, 400])
@pytest.mark.parametrize("kind", KINDS)
def test_f1_splits_the_scores_as_the_best_row_does_in_float64_and_in_float32(kind: str, size: int, beta: int) -> None:
    for seed in range(5):
        score, label = scores(kind, size, seed)
        chosen = F1(beta).choose(score, label)
        best = best_f_by_hand(score, label, beta)
        expected = score >= best
        np.testing.assert_array_equal(score.astype(np.float64) >= chosen.value, expected)
        np.testing.assert_array_equal(score >= np.float32(chosen.value), expected)
        assert float(np.float32(chosen.value)) == chosen.value
        lower = score[score < best]
        if lower.size:
            middle = (float(lower.max()) + best) / 2
            assert abs(chosen.value - middle) <= float(np.spacing(np.float32(max(abs(lower.max()), abs(best)))))
        else:
            assert chosen.value == best


def test_f1_row_of_the_sweep_is_reproduced_by_the_threshold() -> None:
    score, label = scores("ties", 300, 0)
    table = precision_recall_f1(score, label)
    row = table.loc[table["f1"] == table["f1"].max()].iloc[0]
    called = score >= F1().choose(score, label).value
    assert (called & (label == 1)).sum() == row["tp"]
    assert (called & (label == 0)).sum() == row["fp"]


def test_float64_scores_are_decided_as_their_float32_values() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        score = 1 + generator.random(30) * 1e-6  # about ten distinct values in float32
        label = generator.permutation(np.repeat([0, 1], [18, 12]))  # more good ones, so that both weigh alike
        rounded = score.astype(np.float32)
        chosen = F1().choose(score, label)
        assert chosen == F1().choose(rounded, label)
        np.testing.assert_array_equal(rounded >= np.float32(chosen.value), rounded >= best_f_by_hand(rounded, label, 1))


def test_of_equal_f1_the_one_that_misses_fewer_is_taken() -> None:
    # F1 is 2/3 when calling the upper one (1 tp, 1 missed), and 2/3 when calling all four (2 tp, 2 false).
    chosen = F1().choose([1.0, 2.0, 3.0, 4.0], [1, 0, 0, 1])
    assert chosen.value == 1.0


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95, 0.99, 0.999])
@pytest.mark.parametrize("size", [1, 2, 10, 100, 1000])
@pytest.mark.parametrize("kind", ["smooth", "ties", "neighbours", "huge", "negative", "constant"])
def test_normal_is_the_lowest_float32_that_few_enough_good_pictures_reach(
    kind: str, size: int, quantile: float
) -> None:
    score, label = scores(kind, size, 0)
    chosen = Normal(quantile).choose(score, label)
    good = score[label == 0]
    allowed = (1 - Fraction(str(quantile))) * good.size
    value = np.float32(chosen.value)
    assert float(value) == chosen.value
    assert (good >= value).sum() <= allowed
    one_lower = np.nextafter(value, np.float32(-np.inf))
    if abs(value) > np.finfo(np.float32).tiny:  # subnormal values are skipped, see below
        assert (good >= one_lower).sum() > allowed
    assert Normal(quantile).choose(good, np.zeros(good.size)).value == chosen.value


def test_normal_above_zero_survives_runtimes_that_flush_subnormals_to_zero() -> None:
    chosen = Normal(0.9).choose(np.zeros(20), np.zeros(20))
    assert chosen.value == np.finfo(np.float32).tiny


@pytest.mark.parametrize(("size", "resolved"), [(99, False), (100, True)])
def test_normal_says_when_there_are_too_few_pictures(size: int, *, resolved: bool) -> None:
    promise = Normal(0.99).choose(np.arange(size), np.zeros(size)).promise
    assert ("takes at least 100" not in promise) == resolved


def test_normal_keeps_its_promise_on_new_pictures() -> None:
    generator = np.random.default_rng(0)
    size, quantile, repeats = 49, 0.9, 1000
    draws = generator.random((repeats, size)).astype(np.float32)
    chance = np.array([1 - Normal(quantile).choose(draw, np.zeros(size)).value for draw in draws])
    promised = (4 + 1) / (size + 1)  # floor(0.1 * 49) = 4
    assert "a chance of 0.1 at most" in Normal(quantile).choose(draws[0], np.zeros(size)).promise
    assert chance.mean() == pytest.approx(promised, abs=4 * chance.std() / repeats**0.5)


def test_choice_records_what_it_rests_on() -> None:
    chosen = choose_threshold(F1(), [1.0, 2.0, 3.0, 9.0, 5.0], [0, 0, 1, 1, -1])
    assert (chosen.value, chosen.n_good, chosen.n_defective, chosen.fallback) == (2.5, 2, 2, False)
    assert chosen.policy == "F1(beta=1.0)"
    assert "0 of 2 defective pictures missed, 0 of 2 good ones called defective" in chosen.promise


@pytest.mark.parametrize("policy", [F1(), F1(beta=2)])
def test_without_defects_the_fallback_is_used_and_said(policy: Policy) -> None:
    good = np.arange(200.0)
    chosen = choose_threshold(policy, good, np.zeros(200), fallback=Normal(0.95))
    assert chosen.fallback
    assert chosen.value == Normal(0.95).choose(good, np.zeros(200)).value
    assert chosen.policy == "Normal(quantile=0.95)"
    assert chosen.promise.startswith(
        "The calibration set holds no defective pictures, so it was chosen by good ones alone (normal in place of f1). "
    )
    assert not choose_threshold(Normal(), good, np.zeros(200)).fallback


@pytest.mark.parametrize("policy", [F1(), Normal(), Cost(), Conformal(), MeanSigma(), Grid(0, 5, 1)])
def test_without_good_pictures_every_defect_is_kept_and_it_is_said(policy: Policy) -> None:
    chosen = choose_threshold(policy, [3.0, 2.0, 9.0, 0.0], [1, 1, 1, -1])
    assert (chosen.value, chosen.n_good, chosen.n_defective, chosen.fallback) == (2.0, 0, 3, True)
    assert "promises nothing about good ones" in chosen.promise


@pytest.mark.parametrize("policy", [F1(), Normal(), Cost(), Recall()])
def test_without_labels_there_is_no_threshold(policy: Policy) -> None:
    with pytest.raises(ValueError, match="label some of the calibration pictures"):
        choose_threshold(policy, [1.0, 2.0], [-1, -1])


def test_a_given_threshold_needs_no_labels() -> None:
    chosen = choose_threshold(Fixed(0.1), [1.0], [-1])
    assert chosen.value == np.float32(0.1)
    assert not chosen.fallback


@pytest.mark.parametrize("bad", [np.inf, -np.inf, 1e39])
@pytest.mark.parametrize("policy", [F1(), Normal()])
def test_scores_that_are_not_finite_in_float32_are_refused(policy: Policy, bad: float) -> None:
    with pytest.raises(ValueError, match="finite in float32"):
        policy.choose([1.0, 2.0, bad], [0, 1, 0])


def test_a_fallback_that_needs_what_is_missing_too_gives_way() -> None:
    chosen = choose_threshold(F1(), [1.0], [0], fallback=F1(beta=2))
    assert chosen.policy == "Normal(quantile=0.99)"
    with pytest.raises(ValueError, match="needs defective pictures"):
        F1().choose([1.0], [0])


@pytest.mark.parametrize("quantile", [0.0, 1.0, -1.0, float("nan")])
def test_quantiles_that_nothing_can_back_are_refused(quantile: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        Normal(quantile)


@pytest.mark.parametrize("beta", [0.0, -1.0, float("inf"), float("nan")])
def test_weights_that_are_not_positive_are_refused(beta: float) -> None:
    with pytest.raises(ValueError, match="beta"):
        F1(beta)
