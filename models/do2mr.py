"""DO2MR: a region is anomalous where the brightest and the darkest pixel of a small window lie far apart.

Mei, Su, Jackson, Song and Xu, "Automated inspection of defects in optical fiber connector end face using novel
morphology approaches", Sensors 18(5), 2018, 1408: the difference of min-max ranking filtering, smoothed. The paper's
threshold of so many standard deviations is left to calibration: the map is in robust ones of its zone. It needs no
training.

Letters: B batch, H and W pixels.
"""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np

from .components.face_residual import FaceView, Plane, Where, standardised
from .face_detector import FaceDetector, odd


def min_max_range(flat_HW: Plane, window: int) -> Plane:
    """Return the largest less the smallest value of the square window about every pixel, as a mean over 3 x 3."""
    square = np.ones((window, window), dtype=np.uint8)
    range_HW = cv2.dilate(flat_HW, square) - cv2.erode(flat_HW, square)
    return np.asarray(cv2.blur(range_HW, (3, 3)), dtype=np.float32)


class Do2mr(FaceDetector):
    """Region defects of fiber end faces: pits, chips, dirt.

    Args:
        window: Side of the window, in radii of the cladding.
        border: Of that radius, on both sides of where zones meet, that is not judged.
        zones: ``find`` the zones on every image, or ``none``: for images that show no whole cladding.
        scored: Zones whose pixels count for the score (1 core, 2 cladding, 3 ferrule); the map has all.
        top_share: Share of those pixels, the worst ones, whose mean is the score.

    Raises:
        ValueError: An argument is out of range.
    """

    smallest: ClassVar[int] = 3

    def __init__(
        self,
        window: float = 0.0625,
        border: float = 0.05,
        zones: Where = "find",
        scored: tuple[int, ...] = (1, 2, 3),
        top_share: float = 0.003,
    ) -> None:
        super().__init__(border, zones, scored, top_share)
        self.window = self.length(window, "model.window")

    def respond(self, face: FaceView) -> Plane:
        """Return the standardised range, (H, W)."""
        return standardised(min_max_range(face.flat_HW, odd(self.window * face.radius, self.smallest)), face)
