from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from datamodules.synthetic.planting import KINDS, draw_place, plant

if TYPE_CHECKING:
    from datamodules.synthetic.drawing import Floats


def scene(side: int, channels: int = 3) -> Floats:
    """A smooth random image, the same at every size."""
    coarse = np.random.default_rng(5).uniform(0.2, 0.8, (12, 12)).astype(np.float32)
    plane = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.repeat(np.asarray(plane, np.float32)[None], channels, axis=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_a_defect_changes_what_it_covers_and_little_else(kind: str, seed: int) -> None:
    before = scene(128)
    copy = before.copy()
    image, mask = plant(kind, before, np.random.default_rng(seed))
    np.testing.assert_array_equal(before, copy)
    assert image.shape == before.shape
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1
    assert 0 < mask.mean() < 0.1
    changed = np.abs(image - before).max(axis=0)
    near = cv2.dilate(mask.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    assert changed[mask].max() > 0
    assert changed[~near].max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_plants_the_same_defect_at_any_size(kind: str) -> None:
    small = plant(kind, scene(128), np.random.default_rng(3))[1]
    large = plant(kind, scene(256), np.random.default_rng(3))[1]
    middles = [np.argwhere(mask).mean(axis=0) / len(mask) for mask in (small, large)]
    np.testing.assert_allclose(middles[0], middles[1], atol=0.03)
    assert 0.5 < small.mean() / large.mean() < 2.5


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_gives_one_image(kind: str) -> None:
    first, again = (plant(kind, scene(64, 1), np.random.default_rng(8))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_places_lie_where_there_is_contrast() -> None:
    image = np.full((1, 96, 96), 0.5, np.float32)
    image[:, 48:, 48:] = np.random.default_rng(0).uniform(0, 1, (48, 48)).astype(np.float32)
    rng = np.random.default_rng(1)
    places = [draw_place(image, rng) for _ in range(200)]
    assert np.mean([x > 0.45 and y > 0.45 for x, y in places]) > 0.6


def test_an_image_without_contrast_takes_a_defect_anywhere() -> None:
    image, mask = plant("stain", np.full((3, 64, 64), 0.5, np.float32), np.random.default_rng(0))
    assert mask.any()
    assert np.isfinite(image).all()
