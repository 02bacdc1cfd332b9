"""Cohen's kappa against scikit-learn, its error against resampling and a published example."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from callbacks.statistics.agreement import cohen_kappa


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 3, 60)
    second = np.where(rng.random(60) < 0.6, first, rng.integers(0, 3, 60))
    counts = np.zeros((3, 3))
    np.add.at(counts, (first, second), 1)
    found = cohen_kappa(counts)
    assert found.kappa == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
    assert found.agreement == pytest.approx(np.mean(first == second))


def test_the_example_of_fleiss_cohen_and_everitt() -> None:
    # Psychol. Bull. 72 (1969), table 1: shares of 200 cases; kappa 0.429, variance 0.002885.
    share = np.array([[0.53, 0.05, 0.02], [0.11, 0.14, 0.05], [0.01, 0.06, 0.03]])
    found = cohen_kappa(share * 200)
    assert found.kappa == pytest.approx(0.429, abs=5e-4)
    assert ((found.high - found.low) / 2 / 1.959964) ** 2 == pytest.approx(0.002885, abs=5e-6)


def test_the_interval_is_that_of_resampling() -> None:
    rng = np.random.default_rng(0)
    counts = np.array([[90, 12], [9, 39]])
    found = cohen_kappa(counts)
    drawn = rng.multinomial(counts.sum(), (counts / counts.sum()).ravel(), size=4000)
    kappas = [cohen_kappa(one.reshape(2, 2)).kappa for one in drawn]
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(kappas, [2.5, 97.5])), abs=0.015)


def test_what_has_no_kappa() -> None:
    assert cohen_kappa(np.zeros((2, 2))).decided == 0
    same = cohen_kappa([[7, 0], [0, 0]])
    assert (same.decided, same.agreement) == (7, 1.0)
    assert math.isnan(same.kappa)
    with pytest.raises(ValueError, match="square counts"):
        cohen_kappa([[1, 2, 3], [4, 5, 6]])
