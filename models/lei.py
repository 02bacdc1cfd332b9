"""LEI, the linear enhancement inspector: a scratch is a line that is darker or brighter than both its sides.

Mei, Su, Jackson, Song and Xu, Sensors 18(5), 2018, 1408 (see ``do2mr.py``): means along short lines in many
directions, the middle one against those on either side. The map is the strongest of all directions, in robust standard
deviations of its zone. It needs no training.

Letters: K side of a kernel, N directions, H and W pixels.
"""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np

from .components.face_residual import FaceView, Plane, Where, standardised
from .face_detector import FaceDetector, odd


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
        strength = np.maximum(strength, np.abs(response))
    return strength


class Lei(FaceDetector):
    """Scratches of fiber end faces.

    Args:
        length: Of the lines, in radii of the cladding.
        apart: From a line to its sides, in the same unit; a scratch wider than this is a region.
        directions: Of the lines, evenly over half a turn.
        border: Of the radius, on both sides of where zones meet, that is not judged.
        zones: ``find`` the zones on every image, or ``none``: for images that show no whole cladding.
        scored: Zones whose pixels count for the score (1 core, 2 cladding, 3 ferrule); the map has all.
        top_share: Share of those pixels, the worst ones, whose mean is the score.

    Raises:
        ValueError: An argument is out of range.
    """

    smallest: ClassVar[int] = 5

    def __init__(
        self,
        length: float = 0.15,
        apart: float = 0.028,
        directions: int = 12,
        border: float = 0.05,
        zones: Where = "find",
        scored: tuple[int, ...] = (1, 2, 3),
        top_share: float = 0.003,
    ) -> None:
        super().__init__(border, zones, scored, top_share)
        if directions < 2:
            raise ValueError(f"Expected model.directions to be at least 2, but found {directions}.")
        self.line = self.length(length, "model.length")
        self.apart = self.length(apart, "model.apart")
        self.directions = directions

    def respond(self, face: FaceView) -> Plane:
        """Return the standardised strength of lines, (H, W)."""
        length = odd(self.line * face.radius, self.smallest)
        strength = line_strength(face.flat_HW, length, max(self.apart * face.radius, 2.0), self.directions)
        return standardised(strength, face)
