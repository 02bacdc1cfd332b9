"""The rim of an inclusion: pixels around its mask that differ from the ground as it does.

A mask seldom covers the dark seam that blur leaves around an inclusion, and a fixed growth that would cover it takes
away as much of the ground where there is no seam. So a mask grows pixel by pixel, and only over what is like it.

Letters: H and W height and width of the image in pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

Image: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float32]

SHARE = 0.25  # of the step in grey from the ground to the inclusion, from which a pixel is taken for its rim
WINDOW = 15  # pixels: side of the square in which the grey of an inclusion and of its ground are taken
NEAR = 7  # pixels: side of the square in which most of the ring around a mask must be rim
MOST = 0.5
BAND = 1024  # rows at a time, so that memory does not grow with the image
_SQUARE = np.ones((3, 3), np.uint8)


def with_rims(image_HW3: Image, mask_HW: Image, most: int) -> Image:
    """Grow a mask over the rims of what it marks.

    Args:
        image_HW3: uint8, in any order of channels.
        mask_HW: 1 on inclusions, 0 elsewhere.
        most: Pixels by which it grows at most.

    Returns:
        (H, W): 1 on inclusions and their rims.
    """
    grown_HW = np.empty_like(mask_HW)
    for rows, around, inside in _bands(mask_HW.shape[0], most * NEAR + 1 + WINDOW):
        grown_HW[rows] = _grown(image_HW3[around], mask_HW[around], most)[inside]
    return grown_HW


def disc(radius: int) -> Image:
    """Return a disc of ones."""
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def _bands(height: int, margin: int) -> Iterator[tuple[slice, slice, slice]]:
    """Yield rows, the same with a margin, and where they lie in those."""
    for top in range(0, height, BAND):
        bottom, first = min(top + BAND, height), max(0, top - margin)
        yield slice(top, bottom), slice(first, min(bottom + margin, height)), slice(top - first, bottom - first)


def _grown(image_HW3: Image, mask_HW: Image, most: int) -> Image:
    if not mask_HW.any():
        return mask_HW
    reach_HW = cv2.dilate(mask_HW, disc(most)) > 0
    like_HW = _like_inclusions(image_HW3, mask_HW, cv2.dilate(mask_HW, disc(most + 1)) == 0)
    grown_HW = mask_HW
    for _ in range(most):
        ring_HW = (cv2.subtract(cv2.dilate(grown_HW, _SQUARE), grown_HW) > 0) & reach_HW
        grown_HW = np.asarray(np.where(_mostly(ring_HW & like_HW, ring_HW), 1, grown_HW), np.uint8)
    return grown_HW


def _mostly(some_HW: npt.NDArray[np.bool_], ring_HW: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Keep what most of the ring near it is: a line that ends at an inclusion is not its rim."""
    share_HW, _ = _mean_near(some_HW.astype(np.float32), ring_HW, NEAR)
    return np.asarray(some_HW & (share_HW >= MOST), np.bool_)


def _like_inclusions(image_HW3: Image, mask_HW: Image, ground_HW: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell which pixels differ from the ground near them as the inclusions there do; all where there is no ground."""
    grey_HW = np.asarray(image_HW3.mean(axis=2, dtype=np.float32), np.float32)
    ground_grey_HW, has_ground_HW = _mean_near(grey_HW, ground_HW)
    inclusion_grey_HW, _ = _mean_near(grey_HW, mask_HW > 0)
    step_HW = inclusion_grey_HW - ground_grey_HW
    return np.asarray(((grey_HW - ground_grey_HW) * step_HW > SHARE * np.square(step_HW)) | ~has_ground_HW, np.bool_)


def _mean_near(
    grey_HW: Floats, where_HW: npt.NDArray[np.bool_], window: int = WINDOW
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the mean grey near every pixel of the pixels that a mask marks, and where there are any."""
    weight_HW = where_HW.astype(np.float32)
    sum_HW, count_HW = (
        np.asarray(cv2.boxFilter(part, -1, (window, window), normalize=False, borderType=cv2.BORDER_CONSTANT))
        for part in (grey_HW * weight_HW, weight_HW)
    )
    return np.asarray(sum_HW / np.maximum(count_HW, 1), np.float32), np.asarray(count_HW >= 0.5, np.bool_)
