"""One resize for images, masks and zones: averages where it shrinks, loses no region, keeps ids."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from datamodules.files.images import resize, resize_mask, resize_zones, scale

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (40, 50), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)
GREY_16 = RNG.integers(0, 65536, (40, 50), dtype=np.uint16)
COLOUR_16 = RNG.integers(0, 65536, (40, 50, 3), dtype=np.uint16)
FLOATS = RNG.normal(size=(40, 50)).astype(np.float32)


@pytest.mark.parametrize("values", [FLOATS, scale(COLOUR_16), scale(GREY_16)])
@pytest.mark.parametrize("factors", [(2, 2), (4, 5), (8, 10), (40, 50)])
def test_shrinking_by_an_integer_averages(values: npt.NDArray[np.float32], factors: tuple[int, int]) -> None:
    height, width = 40 // factors[0], 50 // factors[1]
    blocks = values.reshape(height, factors[0], width, factors[1], -1).mean(axis=(1, 3), dtype=np.float64)
    shrunk = resize(values, height, width)
    assert shrunk.shape == (height, width, *values.shape[2:])
    np.testing.assert_allclose(shrunk, blocks.reshape(shrunk.shape), atol=1e-6)
    rounded = resize(COLOUR, height, width).astype(float)
    exact = COLOUR.reshape(height, factors[0], width, factors[1], 3).mean(axis=(1, 3))
    assert np.abs(rounded - exact).max() <= 0.5 + 1e-6


def test_an_axis_that_shrinks_is_averaged_even_where_the_other_grows() -> None:
    thin = np.zeros((20, 400), dtype=np.float32)
    thin[:, 201] = 1  # a scratch of one column, that point sampling would miss
    resized = resize(thin, 64, 40)
    assert resized.shape == (64, 40)
    np.testing.assert_allclose(resized[:, 20], 0.1, atol=1e-6)
    assert resized.sum() == pytest.approx(64 * 0.1, rel=1e-5)


def test_growing_interpolates_and_the_same_size_changes_nothing() -> None:
    slope = np.repeat(np.arange(10, dtype=np.float32)[None], 8, axis=0)
    grown = resize(slope, 16, 20)
    assert grown.shape == (16, 20)
    np.testing.assert_allclose(grown[:, 1:-1], np.tile(np.arange(0.25, 9, 0.5), (16, 1)), atol=1e-6)
    assert resize(COLOUR, 40, 50) is COLOUR


@pytest.mark.parametrize("size", [(256, 256), (100, 70), (31, 97), (600, 900), (600, 90)])
def test_no_region_of_a_mask_is_lost(size: tuple[int, int]) -> None:
    mask = np.zeros((400, 500), dtype=bool)
    mask[20:120, 20:220] = True  # a gross defect,
    mask[300, 400] = True  # a pixel,
    mask[250, 40:160] = True  # and a scratch of one row
    resized = resize_mask(mask, *size)
    assert resized.dtype == np.bool_
    assert resized.shape == size
    assert ndimage.label(resized, np.ones((3, 3)))[1] == 3
    y, x = 300 * size[0] // 400, 400 * size[1] // 500
    assert resized[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].any()


def test_a_mask_keeps_its_area_and_its_emptiness() -> None:
    mask = np.zeros((400, 500), dtype=bool)
    cv2.circle(mask.view(np.uint8), (250, 200), 90, 1, -1)
    assert resize_mask(mask, 256, 256).mean() == pytest.approx(mask.mean(), rel=0.02)
    assert resize_mask(mask, 800, 1000).mean() == pytest.approx(mask.mean(), rel=0.02)
    assert not resize_mask(np.zeros_like(mask), 256, 256).any()
    assert resize_mask(~np.zeros_like(mask), 256, 256).all()
    assert resize_mask(mask, 400, 500) is mask


@pytest.mark.parametrize("size", [(20, 25), (33, 77), (100, 100)])
def test_zones_stay_ids(size: tuple[int, int]) -> None:
    zones = np.zeros((40, 50), dtype=np.uint8)
    zones[10:30, 10:40], zones[15:25, 20:30] = 3, 1
    resized = resize_zones(zones, *size)
    assert resized.shape == size
    assert resized.dtype == np.uint8
    assert set(np.unique(resized)) == {0, 1, 3}
