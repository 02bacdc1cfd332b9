"""Quick medians and quantiles, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from datamodules.arrays.middle import median_cell, quantile


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_the_median_is_numpys(count: int) -> None:
    cell = np.random.default_rng(count).normal(size=(count, 5, 6)).astype(np.float32)
    np.testing.assert_allclose(median_cell(cell), np.median(cell, axis=0), rtol=1e-6)


def test_of_many_cells_some_spread_evenly_make_the_median() -> None:
    cell = np.random.default_rng(0).normal(size=(90, 3, 3)).astype(np.float32)
    np.testing.assert_allclose(median_cell(cell, most=9), np.median(cell[[0, 11, 22, 33, 44, 55, 66, 77, 89]], axis=0))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.37, 0.9, 1.0])
@pytest.mark.parametrize("length", [2, 3, 50])
def test_quantiles_are_numpys(share: float, length: int) -> None:
    value = np.random.default_rng(length).normal(size=(8, length))
    np.testing.assert_allclose(quantile(value, share), np.quantile(value, share, axis=1))
