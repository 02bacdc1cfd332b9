"""DO2MR: a region is anomalous where the brightest and the darkest pixel of a small window lie far apart.

Mei et al. 2018 (see ``faces/responses.py``): the difference of min-max ranking filtering, smoothed. It needs no
training; thresholds are left to calibration.

Letters: H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .face_detector import FaceDetector, Where
from .faces.responses import region_response

if TYPE_CHECKING:
    from .faces.view import FaceView, Plane


class Do2mr(FaceDetector):
    """Region defects of fiber end faces: pits, chips, dirt.

    Args:
        window: Side of the window, in radii of the cladding.
        border: Of that radius, on both sides of where zones meet, that is not judged.
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
        border: float = 0.05,
        zones: Where = "find",
        scored: tuple[int, ...] = (1, 2, 3),
        floor: float = 6.0,
        cap: float = 10.0,
        inner: float = 0.25,
    ) -> None:
        super().__init__(border, zones, scored, floor, cap, inner)
        self.window = self.length(window, "model.window")

    def respond(self, face: FaceView) -> tuple[Plane, Plane]:
        """Return the standardised range, (H, W), twice."""
        range_HW = region_response(face, self.window)
        return range_HW, range_HW
