"""LEI, the linear enhancement inspector: a scratch is a line that is darker or brighter than both its sides.

Mei et al. 2018 (see ``faces/responses.py``): means along short lines in many directions, the middle one against those
on either side. The map is the strongest of all directions. It needs no training.

Letters: H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .face_detector import FaceDetector, Where
from .faces.responses import line_response

if TYPE_CHECKING:
    from .faces.view import FaceView, Plane


class Lei(FaceDetector):
    """Scratches of fiber end faces.

    Args:
        length: Of the lines, in radii of the cladding.
        apart: From a line to its sides, in the same unit; a scratch wider than this is a region.
        directions: Of the lines, evenly over half a turn.
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
        length: float = 0.15,
        apart: float = 0.028,
        directions: int = 12,
        border: float = 0.05,
        zones: Where = "find",
        scored: tuple[int, ...] = (1, 2, 3),
        floor: float = 6.0,
        cap: float = 10.0,
        inner: float = 0.25,
    ) -> None:
        super().__init__(border, zones, scored, floor, cap, inner)
        if directions < 2:
            raise ValueError(f"Expected model.directions to be at least 2, but found {directions}.")
        self.line = self.length(length, "model.length")
        self.apart = self.length(apart, "model.apart")
        self.directions = directions

    def respond(self, face: FaceView) -> tuple[Plane, Plane]:
        """Return the standardised strength of lines, (H, W), twice."""
        strength_HW = line_response(face, self.line, self.apart, self.directions)
        return strength_HW, strength_HW
