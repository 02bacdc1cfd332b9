"""DO2MR and LEI: what a face responds to regions and to lines.

Mei, Su, Jackson, Song and Xu, "Automated inspection of defects in optical fiber connector end face using novel
morphology approaches", Sensors 18(5), 2018, 1408. The paper's threshold of so many standard deviations is left to
whoever reads the responses.

Letters: K side of a kernel, H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from .view import standardised

if TYPE_CHECKING:
    from .view import FaceView, Plane


def min_max_range(flat_HW: Plane, window: int) -> Plane:
    """Return the largest less the smallest value of the square window about every pixel, as a mean over 3 x 3."""
    square = np.ones((window, window), dtype=np.uint8)
    range_HW = cv2.dilate(flat_HW, square) - cv2.erode(flat_HW, square)
    return np.asarray(cv2.blur(range_HW, (3, 3)), dtype=np.float32)


def region_response(face: FaceView, window: float) -> Plane:
    """Return DO2MR's response in standard deviations of its zone; ``window`` in radii of the cladding."""
    return standardised(min_max_range(face.flat_HW, odd(window * face.radius, 3)), face)


def line_kernel(length: int, apart: float, degrees: float) -> Plane:
    """Return the filter (K, K) that takes the mean along a line less the means along its two neighbours.

    Args:
        length: Of the lines, in pixels.
        apart: From the middle line to either neighbour, in pixels.
        degrees: Of the lines, clockwise from a row.
    """
    half = length // 2 + round(apart) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    angle = np.radians(degrees)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    within = np.clip(length / 2 + 0.5 - np.abs(along), 0.0, 1.0)

    def line(offset: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        weight = within * np.clip(1 - np.abs(across - offset), 0, 1)
        return np.asarray(weight / weight.sum(), dtype=np.float64)

    return np.asarray(line(0.0) - (line(-apart) + line(apart)) / 2, dtype=np.float32)


def line_strength(flat_HW: Plane, length: int, apart: float, directions: int) -> Plane:
    """Return how much the strongest line through every pixel differs from both its sides, in grey levels."""
    smooth = np.asarray(cv2.GaussianBlur(flat_HW, (0, 0), 0.8), dtype=np.float32)
    strength: Plane = np.zeros_like(smooth)
    for number in range(directions):
        kernel = line_kernel(length, apart, 180.0 * number / directions)
        response = cv2.filter2D(smooth, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT)
        np.maximum(strength, np.abs(response), out=strength)
    return strength


def line_response(face: FaceView, length: float, apart: float, directions: int) -> Plane:
    """Return LEI's response in standard deviations of its zone; lengths in radii of the cladding."""
    pixels = odd(length * face.radius, 5)
    return standardised(line_strength(face.flat_HW, pixels, max(apart * face.radius, 2.0), directions), face)


def odd(length: float, smallest: int) -> int:
    """Round a length in pixels to an odd number of them, at least ``smallest``."""
    return max(2 * round((length - 1) / 2) + 1, smallest)
