"""Region weights against scikit-image's connected components."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import measure

from callbacks.statistics.regions import REGION_UNIT, region_weights


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 1.0])
def test_each_pixel_weighs_one_over_its_region(share: float) -> None:
    mask = np.random.default_rng(0).random((67, 41)) < share
    # connectivity=2 means 8 neighbours.
    region = np.asarray(measure.label(mask, connectivity=2))  # type: ignore[no-untyped-call]  # it has no annotations
    area = np.bincount(region.ravel())
    weight = region_weights(mask) / REGION_UNIT
    np.testing.assert_allclose(weight, 1 / area[region[mask]], rtol=1e-9)
    assert weight.sum() == pytest.approx(region.max(), rel=1e-9)


def test_diagonal_neighbours_are_one_region() -> None:
    assert (region_weights(np.eye(4, dtype=bool)) == REGION_UNIT // 4).all()


def test_a_mask_without_defects_has_no_weights() -> None:
    assert region_weights(np.zeros((5, 6), dtype=bool)).size == 0


def test_a_large_region_is_weighed_to_a_millionth() -> None:
    weight = region_weights(np.ones((2048, 2047), dtype=bool))
    assert int(weight.sum()) / REGION_UNIT == pytest.approx(1, abs=1e-6)
