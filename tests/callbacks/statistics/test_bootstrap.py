"""Resampling of groups, and the intervals drawn from it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from callbacks.statistics.bootstrap import Estimate, Resampling, group_weights, interval, wilson


@pytest.mark.parametrize(("defective", "good"), [(1, 1), (5, 20), (20, 0), (0, 7)])
def test_each_resample_draws_as_many_groups_of_each_kind_as_there_are(defective: int, good: int) -> None:
    is_defective = np.arange(defective + good) % (defective + good) < defective
    weight = np.concatenate(list(group_weights(is_defective, Resampling(50), chunk=16)))
    assert weight.shape == (50, defective + good)
    assert (weight[:, is_defective].sum(axis=1) == defective).all()
    assert (weight[:, ~is_defective].sum(axis=1) == good).all()


def test_draws_depend_on_the_seed_and_not_on_the_chunks() -> None:
    kind = np.arange(30) < 9
    drawn = [np.concatenate(list(group_weights(kind, Resampling(40), chunk))) for chunk in (1, 7, 40, 100)]
    for other in drawn[1:]:
        np.testing.assert_array_equal(other, drawn[0])
    again = np.concatenate(list(group_weights(kind, Resampling(40, seed=1), 40)))
    assert (again != drawn[0]).any()


def test_every_group_is_drawn_equally_often() -> None:
    weight = np.concatenate(list(group_weights(np.arange(20) < 4, Resampling(5000), chunk=1000)))
    np.testing.assert_allclose(weight.mean(axis=0), 1, atol=5 / 5000**0.5)
    assert weight[:, :4].var() == pytest.approx(3 / 4, rel=0.1)  # of a multinomial count


@pytest.mark.parametrize("trials", [1, 5, 40, 1000])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilson_agrees_with_scipy(trials: int, confidence: float) -> None:
    for successes in {0, 1, trials // 2, trials}:
        expected = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
        assert wilson(successes / trials, trials, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert wilson(1.0, trials, confidence)[1] == 1 - wilson(0.0, trials, confidence)[0] == 1


def test_interval_is_that_of_the_percentiles() -> None:
    resampled = np.random.default_rng(0).permutation(np.linspace(0, 1, 1001))
    estimate = interval(0.5, resampled, groups=30)
    assert (estimate.low, estimate.high) == pytest.approx((0.025, 0.975))
    narrower = interval(0.5, resampled, groups=30, confidence=0.5)
    assert (narrower.low, narrower.high) == pytest.approx((0.25, 0.75))


@pytest.mark.parametrize("value", [0.0, 0.7, 1.0])
def test_where_all_resamples_agree_the_interval_is_wilsons(value: float) -> None:
    estimate = interval(value, np.full(100, value), groups=12)
    assert (estimate.low, estimate.high) == wilson(value, 12)
    assert estimate.low <= value <= estimate.high
    assert estimate.high - estimate.low > 0.2


def test_a_single_group_says_little() -> None:
    estimate = interval(0.9, np.linspace(0.89, 0.91, 100), groups=1)
    assert (estimate.low, estimate.high) == wilson(0.9, 1)


def test_interval_holds_its_value_and_leaves_undefined_resamples_out() -> None:
    resampled = np.append(np.linspace(0.6, 0.7, 100), np.full(50, np.nan))
    estimate = interval(0.5, resampled, groups=30)
    assert estimate.low == 0.5
    assert estimate.high == pytest.approx(0.6975)


def test_an_undefined_value_has_no_interval() -> None:
    estimate = interval(float("nan"), np.full(10, 0.5), groups=30)
    assert np.isnan([estimate.value, estimate.low, estimate.high]).all()


def test_an_estimate_turns_into_plain_numbers() -> None:
    assert Estimate(0.5, 0.25, 0.75).to_dict() == {"value": 0.5, "low": 0.25, "high": 0.75}


@pytest.mark.parametrize("options", [{"resamples": 1}, {"confidence": 0.0}, {"confidence": 1.0}])
def test_resampling_that_gives_no_interval_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Expected at least 2 resamples and a confidence"):
        Resampling(**options)  # type: ignore[arg-type]  # one option of either type
