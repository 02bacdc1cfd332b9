"""Probabilities against scikit-learn, and how far they can be believed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

from callbacks.statistics.bootstrap import Resampling
from callbacks.statistics.probability import (
    Choice,
    Probability,
    fit_isotonic,
    fit_platt,
    fit_probability,
    probability_intervals,
)

RESAMPLING = Resampling(200)


def draw(size: int, seed: int = 0, *, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    label = (generator.random(size) < 0.3).astype(np.int64)
    score = generator.normal(size=size) * 3 + 4 * label + 100
    return np.round(score) if ties else score, label


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("size", [80, 500])
def test_isotonic_is_scikit_learns(size: int, *, ties: bool) -> None:
    score, label = draw(size, ties=ties)
    fitted = fit_probability("isotonic", score, label)
    assert isinstance(fitted, Probability)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(score, label)
    grid = np.linspace(80, 120, 500)
    np.testing.assert_allclose(fitted(grid), theirs.predict(grid), atol=1e-12)
    assert len(fitted.scores) < size  # only the ends of each level are kept


@pytest.mark.parametrize("size", [80, 2000])
def test_platt_is_scikit_learns(size: int) -> None:
    score, label = draw(size)
    slope, offset = fit_platt(score, label)
    a, b = _sigmoid_calibration(score - 100, label)
    assert slope == pytest.approx(-a, rel=1e-3)
    assert offset + 100 * slope == pytest.approx(-b, rel=1e-3, abs=1e-3)


def test_separated_pictures_give_no_certainty_by_platt() -> None:
    fitted = fit_probability("platt", np.arange(40.0), np.repeat([0, 1], 20))
    assert isinstance(fitted, Probability)
    assert 0 < fitted(0.0) < 0.1
    assert 0.9 < fitted(39.0) < 1
    assert np.isfinite(fitted([-1e30, 1e30])).all()


def test_equal_scores_give_the_share_of_defects() -> None:
    label = np.repeat([0, 1], [30, 10])
    for method, expected in (("isotonic", 10 / 40), ("platt", (10 * 11 / 12 + 30 / 32) / 40)):
        fitted = fit_probability(method, np.full(40, 7.0), label)  # type: ignore[arg-type]  # one of the two
        assert isinstance(fitted, Probability)
        assert float(fitted(7.0)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("good", "defective"), [(9, 50), (50, 9), (0, 50), (50, 0)])
def test_too_few_pictures_give_no_probability_and_a_reason(good: int, defective: int) -> None:
    reason = fit_probability("platt", np.arange(good + defective), np.repeat([0, 1], [good, defective]))
    assert isinstance(reason, str)
    assert f"{good} good and {defective} defective" in reason
    assert "at least 10 of each" in reason


def test_small_isotonic_fits_warn() -> None:
    small, large = (fit_probability("isotonic", *draw(size)) for size in (100, 2000))
    assert isinstance(small, Probability)
    assert isinstance(large, Probability)
    assert "overfit" in small.promise
    assert "overfit" not in large.promise


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_it_travels_as_plain_values(method: str) -> None:
    fitted = fit_probability(method, *draw(200))  # type: ignore[arg-type]  # one of the two
    assert isinstance(fitted, Probability)
    assert Probability.from_dict(fitted.to_dict()) == fitted


def test_knots_rise() -> None:
    knots, values = fit_isotonic(*draw(300, ties=True))
    assert (np.diff(knots) > 0).all()
    assert (np.diff(values) >= 0).all()


def test_brier_and_ece_are_what_their_definitions_say() -> None:
    score, label = draw(600)
    p = 1 / (1 + np.exp(-(score - 102) / 2))
    group = np.array([f"g{index // 3}" for index in range(600)])
    found = probability_intervals(p, label, group, RESAMPLING)
    assert found["brier"].value == pytest.approx(brier_score_loss(label, p))
    bins = np.minimum((p * 10).astype(int), 9)
    ece = sum(abs((p - label)[bins == b].sum()) for b in range(10)) / 600
    assert found["ece"].value == pytest.approx(ece)
    for estimate in found.values():
        assert 0 <= estimate.low < estimate.value < estimate.high <= 1
    order = np.random.default_rng(0).permutation(600)
    renamed = np.array([str(name)[::-1] for name in group])
    assert probability_intervals(p[order], label[order], renamed[order], RESAMPLING) == found


def test_fitted_probabilities_are_calibrated_on_new_pictures() -> None:
    fitted = fit_probability("platt", *draw(4000))
    assert isinstance(fitted, Probability)
    score, label = draw(20_000, seed=1)
    found = probability_intervals(fitted(score), label, np.arange(20_000), RESAMPLING)
    assert found["ece"].value < 0.02


@pytest.mark.parametrize("choice", ["platt", "isotonic", "auto"])
def test_a_prior_moves_the_odds_by_bayes(choice: Choice) -> None:
    score, label = draw(400)
    plain, rare = fit_probability(choice, score, label), fit_probability(choice, score, label, prior=0.02)
    assert isinstance(plain, Probability)
    assert isinstance(rare, Probability)
    grid = np.linspace(95, 108, 40) if choice != "isotonic" else np.array(plain.scores)
    before, after = plain(grid), rare(grid)
    inner = (before > 0) & (before < 1)
    ratio = (after / (1 - after))[inner] / (before / (1 - before))[inner]
    np.testing.assert_allclose(ratio, 0.02 / 0.98 / (label.mean() / (1 - label.mean())), rtol=1e-6)
    assert "a share of 0.02" in rare.promise


def test_auto_takes_platt_for_few_and_isotonic_for_many() -> None:
    few, many = fit_probability("auto", *draw(200)), fit_probability("auto", *draw(1000))
    assert isinstance(few, Probability)
    assert isinstance(many, Probability)
    assert (few.method, many.method) == ("platt", "isotonic")


def test_scores_that_fall_with_defects_have_no_probability() -> None:
    score, label = draw(200)
    assert "do not score higher" in str(fit_probability("auto", -score, label))
