"""Hough's transform for circles, as OpenCV has it (gradient method)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.zones.detectors import Circle
from datamodules.zones.ellipse import Ellipse
from datamodules.zones.rays import DISC, contrast_at

if TYPE_CHECKING:
    from datamodules.zones.view import View

RADII = (0.05, 0.6)  # of the shorter side
VOTES = 30  # edges that point to one centre
STRONG = 98.0  # percentile of the gradient that counts as an edge


def detect(view: View) -> Circle | None:
    """Take the circle with most votes; where it is a lit core, the one with most votes about it."""
    small_hw, side = view.small_hw, min(view.small_hw.shape)
    low, high = np.percentile(small_hw, [0.5, 99.5])
    stretched = np.clip((small_hw - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8)
    smooth = np.asarray(cv2.GaussianBlur(stretched, (0, 0), 1.2), dtype=np.uint8)
    smallest = RADII[0] * side
    for _ in range(2):
        circle = _most_voted(smooth, smallest, RADII[1] * side)
        if circle is None or contrast_at(small_hw, circle, DISC) > 0:
            return None if circle is None else Circle(circle, None, 0.5)
        smallest = 1.15 * circle.radius
    return None


def _most_voted(grey_hw: npt.NDArray[np.uint8], smallest: float, largest: float) -> Ellipse | None:
    slope = np.hypot(cv2.Sobel(grey_hw, cv2.CV_32F, 1, 0), cv2.Sobel(grey_hw, cv2.CV_32F, 0, 1))
    edge = max(float(np.percentile(slope, STRONG)), 20.0)
    found = cv2.HoughCircles(
        grey_hw, cv2.HOUGH_GRADIENT, 2.0, min(grey_hw.shape), param1=edge, param2=VOTES,
        minRadius=round(smallest), maxRadius=round(largest),
    )  # fmt: skip
    if found is None or not found.size:
        return None
    x, y, radius = found.reshape(-1, found.shape[-1])[0, :3]
    return Ellipse(float(x), float(y), float(radius))
