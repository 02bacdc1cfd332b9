"""What cells are measured by, part by part, against slower ways or known truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.sorter.alignment import radius_grid
from models.sorter.halves import halves_leave
from models.sorter.light import evened
from models.sorter.measures import disc_means, make_gauge


@pytest.mark.parametrize(("side", "reach"), [(30, 14), (41, 6), (64, 17)])
def test_means_over_discs_are_those_of_a_filter(side: int, reach: int) -> None:
    cell = np.random.default_rng(side).normal(size=(3, side, side)).astype(np.float32)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    at = radius_grid(side) <= 0.8 * reach
    kernel = disc.astype(np.float32) / disc.sum()
    expected = [cv2.filter2D(one, -1, kernel, borderType=cv2.BORDER_REFLECT_101)[at] for one in cell]
    np.testing.assert_allclose(disc_means(cell, disc, at), expected, atol=1e-5)


def test_light_is_followed_up_to_the_edges_whatever_a_fifth_of_the_cells_hides() -> None:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:12, :15] / 12.0
    light = 0.4 + 0.5 * x - 0.2 * y + 0.15 * x * y - 0.1 * x**2
    seen = np.where(rng.random(light.shape) < 0.2, light - 0.3, light)
    seen[4, 5] = np.nan
    assert np.nanmax(np.abs(evened(seen) - light)) < 0.02


def test_halves_that_have_moved_are_told_from_a_pillar_of_another_form() -> None:
    side, middle = 64, 31.5
    y, x = np.mgrid[:side, :side].astype(np.float64)

    def disc(radius: object, left: float = 0.0, up: float = 0.0) -> np.ndarray:
        away = np.hypot(x - middle + left, y - middle + up)
        return np.asarray(np.clip((radius - away) / 3 + 0.5, 0, 1), dtype=np.float32)

    reference = disc(17.0)
    angle = np.arctan2(y - middle, x - middle)
    bent = disc(17.0 * (1 + 0.15 * np.cos(3 * angle)))
    parted = np.where(x < middle + 3, disc(17.0, up=3), disc(17.0, left=2, up=-4)).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.02, (2, side, side)).astype(np.float32)
    left = halves_leave(np.stack([parted, bent]) + noise, make_gauge(reference), 1e-4)
    assert left[0] < 0.2
    assert left[1] > 0.4
