"""Inclusions painted over: nothing else changes, and what is painted is like what surrounds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import cv2
import numpy as np
import pytest

from models.components.inpainting import GROW, Image, Method, inpaint
from models.components.rims import BAND, disc, with_rims

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


def test_masks_grow_over_dark_rims_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    scan = rng.normal(150, 8, (80, 120, 3))
    spots = np.zeros((80, 120), np.uint8)
    cv2.circle(spots, (30, 40), 8, 1, -1)
    cv2.circle(spots, (90, 40), 8, 1, -1)
    scan[spots > 0] = 20
    seam = cv2.circle(np.zeros_like(spots), (30, 40), 10, 1, -1)  # of one of both
    scan[seam > 0] = np.minimum(scan[seam > 0], 60)
    found = with_rims(scan.astype(np.uint8), spots, GROW)
    left, right = np.s_[:, :60], np.s_[:, 60:]
    assert (found[left] >= spots[left]).all()
    assert found[left][(seam > 0)[left]].mean() > 0.97  # its tips lie farther from the mask than the mask may grow
    np.testing.assert_array_equal(found[right], spots[right])
    np.testing.assert_array_equal(with_rims(255 - scan.astype(np.uint8), spots, GROW), found)  # bright ones, too


def test_rims_are_the_same_whatever_the_height_of_bands() -> None:
    rng = np.random.default_rng(1)
    scan = np.asarray(cv2.GaussianBlur(rng.integers(0, 256, (2 * BAND + 50, 90, 3), np.uint8), (0, 0), 2), np.uint8)
    spots = (scan.mean(axis=2) < 120).astype(np.uint8)
    found = with_rims(scan, spots, GROW)
    for top in (0, BAND // 2, BAND - 30):  # far from the cut, nothing depends on where the scan is cut
        part = with_rims(scan[top:], spots[top:], GROW)
        np.testing.assert_array_equal(part[40:], found[top + 40 :])


def test_what_is_known_of_moved_holes_is_kept() -> None:
    clean, spots = waves()
    spoilt = clean.copy()
    spoilt[spots] = 0
    np.testing.assert_array_equal(inpaint(spoilt, spots), inpaint(spoilt, spots, grow=0))
