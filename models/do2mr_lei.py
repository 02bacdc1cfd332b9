"""DO2MR and LEI as one: a pixel is as anomalous as the stronger of both says, each in its own standard deviations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .face_detector import FaceDetector, Where
from .faces.marks import Filters, agreed, responses

if TYPE_CHECKING:
    from .faces.view import FaceView, Plane


class Do2mrLei(FaceDetector):
    """Region defects and scratches of fiber end faces: see ``Do2mr`` and ``Lei``.

    Args:
        window: Of DO2MR, in radii of the cladding.
        length: Of LEI's lines, in the same unit.
        apart: From a line to its sides, in the same unit.
        directions: Of the lines.
        scratches: Weight of LEI's standard deviations against those of DO2MR.
        border: Of the radius, on both sides of where zones meet, that is not judged.
        zones: ``find`` the zones on every image, or ``none``: for images that show no whole cladding.
        scored: Zones whose pixels count for the score (1 core, 2 cladding, 3 ferrule); the map has all.
        floor: Standard deviations from which a pixel counts for the score.
        cap: Standard deviations beyond the floor, from which a pixel counts no more.
        inner: Weight of core and cladding in the score against the ferrule's 1.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        window: float = 0.0625,
        length: float = 0.15,
        apart: float = 0.028,
        directions: int = 12,
        scratches: float = 1.0,
        border: float = 0.05,
        zones: Where = "find",
        scored: tuple[int, ...] = (1, 2, 3),
        floor: float = 6.0,
        cap: float = 10.0,
        inner: float = 0.25,
    ) -> None:
        super().__init__(border, zones, scored, floor, cap, inner)
        if not 0 < scratches < float("inf"):
            raise ValueError(f"Expected model.scratches to be above 0, but found {scratches}.")
        if directions < 2:
            raise ValueError(f"Expected model.directions to be at least 2, but found {directions}.")
        self.filters = Filters(
            self.length(window, "model.window"),
            self.length(length, "model.length"),
            self.length(apart, "model.apart"),
            directions,
        )
        self.scratches = scratches

    def respond(self, face: FaceView) -> tuple[Plane, Plane]:
        """Return the larger of both responses for the map, and the smaller for the score, (H, W) both.

        The grain of a ferrule rarely gives both a region and a line; a defect does.
        """
        region_HW, line_HW = responses(face, self.filters)
        line_HW *= np.float32(self.scratches)
        return np.maximum(region_HW, line_HW), agreed(region_HW, line_HW)
