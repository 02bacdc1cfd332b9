"""Inclusions painted over: nothing else changes, and what is painted is like what surrounds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import cv2
import numpy as np
import pytest

from models.components.inpainting import GROW, Image, Method, disc, inpaint

if TYPE_CHECKING:
    import numpy.typing as npt


def psnr(expected: Image, found: Image) -> float:
    """Return the peak signal-to-noise ratio of 8-bit values, in dB."""
    return float(10 * np.log10(255**2 / np.square(expected.astype(float) - found).mean()))


def waves() -> tuple[Image, npt.NDArray[np.bool_]]:
    """Draw a smooth coloured image with dark spots, and where they are."""
    row, column = np.mgrid[:120, :160] / 20
    clean = np.stack([np.sin(row), np.cos(column), np.sin(row + column)], axis=2) * 50 + 128
    spots = np.zeros((120, 160), np.uint8)
    for x, y in ((20, 20), (80, 60), (150, 110), (0, 70)):
        cv2.circle(spots, (x, y), 5, 1, -1)
    return clean.astype(np.uint8), spots > 0


@pytest.mark.parametrize("method", get_args(Method))
def test_holes_are_painted_over_and_the_rest_stays(method: Method) -> None:
    clean, spots = waves()
    spoilt = clean.copy()
    spoilt[cv2.dilate(spots.astype(np.uint8), disc(GROW)) > 0] = 10  # the rim is dark, too
    painted = inpaint(spoilt, spots, method)
    grown = cv2.dilate(spots.astype(np.uint8), disc(GROW)) > 0
    assert painted.dtype == np.uint8
    np.testing.assert_array_equal(painted[~grown], clean[~grown])
    assert psnr(clean[grown], painted[grown]) > 28
    assert psnr(clean[grown], spoilt[grown]) < 12
    left = inpaint(spoilt, spots, method, grow=0)
    assert psnr(clean[grown], left[grown]) < 15  # from a dark rim comes a dark hole


def test_biharmonic_continues_a_plane_to_rounding() -> None:
    row, column = np.mgrid[:60, :60]
    plane = np.repeat((row + 2 * column)[..., None], 3, axis=2).astype(np.uint8)
    hole = np.zeros((60, 60), bool)
    hole[20:30, 25:40] = True
    spoilt = plane.copy()
    spoilt[hole] = 0
    assert np.abs(inpaint(spoilt, hole, "biharmonic", grow=0).astype(int) - plane).max() <= 1


def test_no_hole_and_nothing_but_holes() -> None:
    clean, _ = waves()
    for fill in (False, True):
        same = inpaint(clean, np.full(clean.shape[:2], fill))
        np.testing.assert_array_equal(same, clean)
        assert same is not clean
