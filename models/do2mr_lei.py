"""DO2MR and LEI as one: a pixel is as anomalous as the stronger of both says, each in its own standard deviations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .do2mr import Do2mr
from .face_detector import FaceDetector, Where
from .lei import Lei

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
        top_share: Share of those pixels, the worst ones, whose mean is the score.

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
        top_share: float = 0.003,
    ) -> None:
        super().__init__(border, zones, scored, top_share)
        if not 0 < scratches < float("inf"):
            raise ValueError(f"Expected model.scratches to be above 0, but found {scratches}.")
        self.regions = Do2mr(window, border, zones, scored, top_share)
        self.lines = Lei(length, apart, directions, border, zones, scored, top_share)
        self.scratches = scratches

    def respond(self, face: FaceView) -> Plane:
        """Return the larger of both responses, (H, W)."""
        larger: Plane = np.maximum(self.regions.respond(face), np.float32(self.scratches) * self.lines.respond(face))
        return larger
