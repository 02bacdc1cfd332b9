"""Facts of how an image looks: what each is, against plain NumPy and SciPy, and what moves it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage

from datamodules.files.appearance import appearance
from datamodules.files.images import scale

RNG = np.random.default_rng(0)
_BLURRED = cv2.GaussianBlur(RNG.random((80, 90, 3)), (0, 0), 1.5)
SMOOTH = np.rint(255 * (_BLURRED - _BLURRED.min()) / np.ptp(_BLURRED)).astype(np.uint8)


def test_facts_are_what_they_say() -> None:
    grey = np.asarray(cv2.cvtColor(SMOOTH, cv2.COLOR_RGB2GRAY)).astype(float)
    found = appearance(SMOOTH)
    assert found.brightness == pytest.approx(SMOOTH.mean() / 255)
    assert found.contrast == pytest.approx(grey.std() / 255)
    assert found.sharpness == pytest.approx(ndimage.laplace(grey, mode="mirror").std() / grey.std())
    assert found.warmth == pytest.approx((SMOOTH[..., 0].mean() - SMOOTH[..., 2].mean()) / 255)


def test_depth_changes_nothing() -> None:
    deep = SMOOTH.astype(np.uint16) * 257
    assert tuple(appearance(scale(deep))) == pytest.approx(tuple(appearance(SMOOTH)), rel=0.02, abs=1e-3)


def test_light_leaves_sharpness_alone_and_blur_lowers_it() -> None:
    usual = appearance(SMOOTH)
    dark = appearance((SMOOTH * 0.5).astype(np.uint8))
    assert dark.brightness == pytest.approx(usual.brightness / 2, rel=0.02)
    assert dark.sharpness == pytest.approx(usual.sharpness, rel=0.1)
    assert appearance(cv2.GaussianBlur(SMOOTH, (0, 0), 2)).sharpness < 0.7 * usual.sharpness


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (1, 7), (9, 9, 3)])
def test_one_colour_has_no_contrast_and_no_sharpness(shape: tuple[int, ...]) -> None:
    found = appearance(np.full(shape, 7, np.uint8))
    assert (found.contrast, found.sharpness, found.warmth) == (0, 0, 0)
