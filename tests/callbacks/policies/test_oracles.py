"""Every policy against brute force over random scores with ties, of one class, and of 1 to 100,000 images."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from callbacks.policies.base import Policy, Threshold, next_above
from callbacks.policies.conformal import Conformal, false_positive_band
from callbacks.policies.cost import Cost
from callbacks.policies.f1 import F1
from callbacks.policies.fixed import Fixed
from callbacks.policies.fpr import FalsePositiveRate
from callbacks.policies.grid import Grid
from callbacks.policies.mad import MedianMad
from callbacks.policies.mean_sigma import MeanSigma
from callbacks.policies.normal import Normal
from callbacks.policies.recall import Recall
from callbacks.policies.tolerance import most_beyond, samples_needed

if TYPE_CHECKING:
    from collections.abc import Callable

Scores = np.ndarray[Any, np.dtype[np.float32]]
Labels = np.ndarray[Any, np.dtype[np.int64]]

ALL: list[Policy] = [
    F1(),
    F1(beta=2),
    Recall(0.9),
    Recall(0.9, confidence=0.95),
    FalsePositiveRate(0.05),
    FalsePositiveRate(0.05, confidence=0.9),
    Cost(miss=20, false_alarm=1, prior=0.1),
    Cost(miss=3, false_alarm=2, prior=None),
    Normal(0.95),
    MeanSigma(2),
    MedianMad(2),
    Conformal(0.1),
    Fixed(0.5),
    Grid(-2, 3, 0.25),
]


def draw(size: int, seed: int, *, ties: bool, share: float = 0.3) -> tuple[Scores, Labels]:
    generator = np.random.default_rng([size, seed])
    label = (generator.random(size) < share).astype(np.int64)
    if size > 1:
        label[:2] = 0, 1
    score = generator.normal(size=size) + label
    return (np.round(score * 2) / 2 if ties else score).astype(np.float32), label


def candidates(score: Scores) -> list[float]:
    """Every threshold that makes a difference, ascending, the one above all scores included."""
    return [*(float(value) for value in np.unique(score)), next_above(float(score.max()))]


def confusion(score: Scores, label: Labels, threshold: float) -> tuple[int, int, int, int]:
    called = score >= np.float32(threshold)
    tp, fp = int((called & (label == 1)).sum()), int((called & (label == 0)).sum())
    return tp, fp, int((label == 1).sum()) - tp, int((label == 0).sum()) - fp


def lowest_best(score: Scores, label: Labels, value: Callable[[int, int, int, int], Fraction]) -> float:
    """The lowest of the thresholds with the highest value."""
    return max(candidates(score), key=lambda t: (value(*confusion(score, label, t)), -t))


def f_by_hand(weight: int, tp: int, fp: int, fn: int, tn: int, prior: Fraction | None = None) -> Fraction:
    """F-beta at a share of defective ones: that of the set, but a half at most, unless it is given."""
    share = min(Fraction(tp + fn, tp + fn + fp + tn), Fraction(1, 2)) if prior is None else prior
    hit, missed = share * Fraction(tp, tp + fn), share * Fraction(fn, tp + fn)
    alarm = (1 - share) * Fraction(fp, fp + tn)
    return (1 + weight) * hit / ((1 + weight) * hit + weight * missed + alarm)


def recall_by_hand(score: Scores, label: Labels, policy: Recall) -> float:
    kept = [t for t in candidates(score) if np.mean(score[label == 1] >= t) >= policy.recall - 1e-12]
    return max(kept)


def fpr_by_hand(score: Scores, label: Labels, rate: float) -> float:
    kept = [t for t in candidates(score) if (score[label == 0] >= t).sum() <= rate * (label == 0).sum() + 1e-9]
    return min(kept)


def cost_by_hand(score: Scores, label: Labels, policy: Cost) -> float:
    good, defective = int((label == 0).sum()), int(label.sum())
    prior = Fraction(defective, good + defective) if policy.prior is None else Fraction(str(policy.prior))

    def gain(tp: int, fp: int, fn: int, tn: int) -> Fraction:
        del tp, tn
        miss, alarm = Fraction(policy.miss), Fraction(policy.false_alarm)
        return -(prior * miss * Fraction(fn, defective) + (1 - prior) * alarm * Fraction(fp, good))

    return lowest_best(score, label, gain)


SIZES = [2, 3, 7, 40, 300]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_choices_equal_exhaustive_search(size: int, *, ties: bool) -> None:
    """The same images are called defective as at the threshold that an exhaustive search finds."""
    for seed in range(10):
        score, label = draw(size, seed, ties=ties)

        def same(policy: Policy, threshold: float, score: Scores = score, label: Labels = label) -> None:
            called = score >= policy.choose(score, label).value
            np.testing.assert_array_equal(called, score >= np.float32(threshold), err_msg=repr(policy))

        for beta in (1, 2):
            same(F1(beta), lowest_best(score, label, partial(f_by_hand, beta**2)))
            for prior in (0.015625, 0.5, 0.875):  # which floats hold exactly, so that ties are ties
                by_hand = partial(f_by_hand, beta**2, prior=Fraction(prior))
                same(F1(beta, prior), lowest_best(score, label, by_hand))
        same(Recall(0.9), recall_by_hand(score, label, Recall(0.9)))
        same(Recall(1.0), recall_by_hand(score, label, Recall(1.0)))
        # Between the scores of good images, Normal and its kin sit just above one: defects in that gap are called.
        for policy, rate in ((FalsePositiveRate(0.05), 0.05), (Normal(0.75), 0.25)):
            good = score[label == 0]
            assert (good >= policy.choose(score, label).value).sum() == (good >= fpr_by_hand(score, label, rate)).sum()
        for cost in (Cost(20, 1, 0.1), Cost(3, 2, None), Cost(1, 1000, 0.001)):
            same(cost, cost_by_hand(score, label, cost))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_deviations_are_those_of_numpy_and_scipy(size: int, *, ties: bool) -> None:
    for seed in range(10):
        score, label = draw(size, seed, ties=ties)
        good = score[label == 0].astype(np.float64)
        expected = {
            MeanSigma(2): good.mean() + 2 * good.std(),
            MedianMad(2): np.median(good) + 2 * stats.median_abs_deviation(good, scale="normal"),
        }
        for policy, value in expected.items():
            chosen = policy.choose(score, label).value
            assert chosen == pytest.approx(value, rel=2e-7, abs=1e-37), policy
            assert float(np.float32(chosen)) == chosen


@pytest.mark.parametrize("policy", [MeanSigma(3), MedianMad(3)])
@pytest.mark.parametrize("value", [0.1, -7.3, 1e30, 0.0])
def test_equal_scores_are_all_good(policy: Policy, value: float) -> None:
    for size in (1, 3, 10, 1001):
        score = np.full(size, value, np.float32)
        chosen = policy.choose(score, np.zeros(size)).value
        assert not (score >= np.float32(chosen)).any()


@pytest.mark.parametrize("policy", ALL)
def test_scores_of_any_number_and_class_are_judged_or_refused(policy: Policy) -> None:
    for size in (1, 2, 10, 1000, 100_000):
        for share in (0.0, 0.3, 1.0):
            score, label = draw(size, 0, ties=True, share=share)
            label = label if 0 < share < 1 and size > 1 else np.full(size, int(share))
            missing = (policy.needs_good and not (label == 0).any()) or (policy.needs_defects and not label.any())
            if missing:
                with pytest.raises(ValueError, match=r"needs (good|defective) pictures"):
                    policy.choose(score, label)
                continue
            chosen = policy.choose(score, label)
            assert isinstance(chosen, Threshold)
            assert float(np.float32(chosen.value)) == chosen.value
            assert (chosen.n_good, chosen.n_defective) == ((label == 0).sum(), (label == 1).sum())
            # Neither order nor unlabelled images matter.
            order = np.random.default_rng(1).permutation(size)
            assert policy.choose(np.append(score[order], 9.0), np.append(label[order], -1)) == chosen


@pytest.mark.parametrize("policy", ALL)
@pytest.mark.parametrize(("bad", "message"), [(np.nan, "NaN"), (np.inf, "finite in float32"), (1e39, "finite")])
def test_scores_that_are_no_numbers_are_refused(policy: Policy, bad: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        policy.choose([1.0, 2.0, bad], [0, 1, 0])


@pytest.mark.parametrize("policy", ALL)
def test_every_policy_says_on_how_many_pictures_it_rests(policy: Policy) -> None:
    score, label = draw(500, 3, ties=False)
    promise = policy.choose(score, label).promise
    counted = {str((label == 0).sum()), str((label == 1).sum())}
    assert any(number in promise for number in counted)
    assert promise.endswith(".")


def test_a_recall_that_two_defects_cannot_back_names_the_number_needed() -> None:
    chosen = Recall(0.99).choose([1.0, 2.0, 5.0, 6.0], [0, 0, 1, 1])
    assert chosen.value == 5.0
    assert "2 defective pictures cannot back a recall of 0.99: that takes at least 299" in chosen.promise
    assert samples_needed(0.01, 0.95) == 299  # 0.99 ** 299 <= 0.05 < 0.99 ** 298
    enough = Recall(0.99).choose(np.arange(400.0), np.ones(400))
    assert "cannot back" in enough.promise  # four of 400 are missed, and nobody knows better than 0.977
    sure = Recall(0.99, confidence=0.95).choose(np.arange(400.0), np.ones(400))
    assert sure.value == 0.0
    assert "cannot back" not in sure.promise


def test_too_few_good_pictures_are_named_with_the_number_needed() -> None:
    good = np.arange(18.0)
    assert "takes at least 19" in Conformal(0.05).choose(good, np.zeros(18)).promise
    assert "takes at least" not in Conformal(0.05).choose(np.arange(19.0), np.zeros(19)).promise
    promise = FalsePositiveRate(0.01, confidence=0.95).choose(good, np.zeros(18)).promise
    assert "cannot back a rate of 0.01" in promise
    assert "at least 299" in promise


def test_tolerance_bounds_are_those_of_clopper_and_pearson() -> None:
    for samples, beyond in ((10, 0), (50, 3), (1000, 17)):
        expected = stats.binomtest(beyond, samples).proportion_ci(0.90, method="exact").high
        assert most_beyond(samples, beyond, 0.95) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_conformal_keeps_its_band_of_false_positives(alpha: float) -> None:
    """The pool is the population: of 100 calibration sets drawn from it, at least 95 keep the stated band."""
    generator = np.random.default_rng(7)
    pool = generator.gamma(2.0, size=1_000_000).astype(np.float32)  # skewed, as scores are
    size = 200
    low, high = false_positive_band(size, int(alpha * (size + 1)) - 1)
    rates = []
    for _ in range(100):
        chosen = Conformal(alpha).choose(generator.choice(pool, size), np.zeros(size))
        rates.append(float((pool >= chosen.value).mean()))
    kept = sum(low <= rate <= high for rate in rates)
    assert kept >= 95
    assert np.mean(rates) <= alpha + 3 * np.std(rates) / 10
    assert f"between {low:.2g} and {high:.2g}" in chosen.promise


@pytest.mark.parametrize("policy", [FalsePositiveRate(0.1, confidence=0.9), Recall(0.9, confidence=0.9)])
def test_confidence_is_kept(policy: FalsePositiveRate | Recall) -> None:
    """In nine of ten calibration sets the rate on the population is kept; here in a thousand of them."""
    generator = np.random.default_rng(0)
    label = 0 if isinstance(policy, FalsePositiveRate) else 1
    broken = 0
    for _ in range(1000):
        score = generator.random(60).astype(np.float32)
        chosen = policy.choose(score, np.full(60, label)).value
        rate = 1 - chosen  # of a uniform population: the share at or above
        broken += rate > 0.1 if label == 0 else rate < 0.9
    assert broken <= 100 + 3 * (1000 * 0.1 * 0.9) ** 0.5
    assert broken > 20  # and it is not kept by giving everything away


def test_cost_moves_with_money_and_prior() -> None:
    score, label = draw(2000, 0, ties=False)
    dear_misses = Cost(1000, 1, 0.1).choose(score, label).value
    even = Cost(10, 1, 0.1).choose(score, label).value
    rare = Cost(10, 1, 0.001).choose(score, label).value
    assert dear_misses < even < rare
    assert "set prior to that of production" in Cost(prior=None).choose(score, label).promise


def test_the_grid_gives_the_figures_of_its_source() -> None:
    """At 1630 of range(1570, 1640, 5): TP 66, FN 60, FP 1049 and TN 1228 of 126 defective and 2,277 good layers."""
    counts = {(1, True): 66, (1, False): 60, (0, True): 1049, (0, False): 1228}
    score = np.concatenate([np.full(n, 1630.0 if called else 1629.99) for (_, called), n in counts.items()])
    label = np.concatenate([np.full(n, label) for (label, _), n in counts.items()])
    chosen = Grid(1570, 1640, 5).choose(score, label)
    assert chosen.table is not None
    assert [row["threshold"] for row in chosen.table] == list(range(1570, 1640, 5))
    row = next(row for row in chosen.table if row["threshold"] == 1630)
    assert [row[name] for name in ("tp", "fn", "fp", "tn")] == [66, 60, 1049, 1228]
    assert round(row["precision"], 4) == 0.0592
    assert round(row["recall"], 4) == 0.5238
    assert round(row["f1"], 4) == 0.1064
    assert row["f1"] == pytest.approx(2 * row["precision"] * row["recall"] / (row["precision"] + row["recall"]))
    everything = chosen.table[0]
    assert (everything["tp"], everything["fp"], round(everything["f1"], 4)) == (126, 2277, 0.0996)
    assert chosen.value == 1630.0
    assert chosen.table[-1]["precision"] is None  # at 1635 nothing is called defective


def test_the_best_of_a_grid_at_its_end_is_doubted() -> None:
    score, label = draw(300, 0, ties=False)
    assert "a better one may lie beyond" in Grid(2.0, 3.0, 0.1).choose(score, label).promise
    assert "a better one may lie beyond" not in Grid(-2.0, 3.0, 0.1).choose(score, label).promise


@pytest.mark.parametrize("seed", range(3))
def test_open_ends_of_a_grid_are_the_two_means(seed: int) -> None:
    score, label = draw(300, seed, ties=False)
    means = [float(np.float32(score[label == one].astype(np.float32).astype(np.float64).mean())) for one in (0, 1)]
    chosen = Grid(step=0.05).choose(score, label)
    assert chosen.table is not None
    tried = [row["threshold"] for row in chosen.table]
    assert tried[0] == pytest.approx(means[0], rel=1e-6)
    assert means[1] - 0.05 - 1e-6 <= tried[-1] < means[1] + 1e-6
    assert np.diff(tried) == pytest.approx(0.05, abs=1e-6)
    assert "mean scores" in chosen.promise
    hundred = Grid().choose(score, label).table
    assert hundred is not None
    assert len(hundred) == 100
    assert Grid(start=means[0], stop=means[1], step=0.05).choose(score, label).value == pytest.approx(chosen.value)


def test_a_grid_between_equal_means_says_what_to_set() -> None:
    with pytest.raises(ValueError, match=r"set threshold\.policy\.start and threshold\.policy\.stop"):
        Grid().choose([1.0, 1.0], [0, 1])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Recall(0.0),
        lambda: Recall(1.1),
        lambda: Recall(1.0, confidence=0.95),
        lambda: Recall(0.9, confidence=1.0),
        lambda: FalsePositiveRate(0.0),
        lambda: Cost(miss=0),
        lambda: Cost(false_alarm=-1),
        lambda: Cost(prior=1.0),
        lambda: MeanSigma(0),
        lambda: MedianMad(float("nan")),
        lambda: Conformal(1.0),
        lambda: Fixed(float("inf")),
        lambda: Fixed(1e39),
        lambda: Grid(1, 1, 1),
        lambda: Grid(0, 1, 0),
        lambda: Grid(0, 1, 1e-9),
    ],
)
def test_parameters_that_mean_nothing_are_refused(wrong: Callable[[], Policy]) -> None:
    with pytest.raises(ValueError, match="Expected"):
        wrong()
