"""An end face drawn over its image at full size: zones, outlines of scratches and defects, and their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.files.images import to_rgb
from datamodules.zones.view import to_grey

from .instance_drawing import write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from callbacks.defects.region_shape import RegionShape
    from datamodules.files.images import Array
    from datamodules.zones.ellipse import Ellipse
    from datamodules.zones.finding import Zones
    from datamodules.zones.scale import Scale

Drawn: TypeAlias = npt.NDArray[np.uint8]
Colour: TypeAlias = tuple[int, int, int]
TYPES: dict[str, Colour] = {  # RGB, Okabe and Ito
    "scratch": (213, 94, 0),
    "pit": (86, 180, 233),
    "chip": (240, 228, 66),
    "dirt": (230, 159, 0),
    "unsure": (204, 121, 167),
}
STATES: dict[str, Colour] = {"accepted": (0, 190, 130), "rejected": (235, 105, 20), "rework": (230, 159, 0)}
PLAIN, RING, CORE, CLADDING = (225, 225, 225), (150, 190, 255), (255, 90, 90), (0, 200, 0)
SMALL = 6.0  # pixels: a defect that is smaller gets a circle about it, or nobody would see its outline


class Drawable(Protocol):
    """A defect that can be drawn."""

    @property
    def number(self) -> int:
        """From 1."""

    @property
    def shape(self) -> RegionShape:
        """Its outline, in pixels without the black frame."""

    @property
    def type(self) -> str:
        """One of ``TYPES``."""


def draw_face(
    values: Array,
    zones: Zones,
    corner: tuple[int, int],
    defects: Sequence[Drawable],
    state: str,
    rings: Mapping[str, tuple[float, float]],
    scale: Scale | None,
) -> Drawn:
    """Draw over an image (H, W) or (H, W, 3): (H, W, 3) RGB uint8.

    Args:
        values: As stored.
        zones: Found or not, in pixels of the image.
        corner: Left and top that shapes count from.
        defects: To draw.
        state: By the rules; empty: there are none.
        rings: Inner and outer diameter of the rules' zones in micrometres.
        scale: Micrometres per pixel; None: rings are not drawn.
    """
    drawn = np.ascontiguousarray(to_rgb(np.rint(to_grey(values) * 255).astype(np.uint8)))
    size = max(min(drawn.shape[:2]) / 1100, 0.4)
    if zones.cladding is not None:
        _rings(drawn, zones.cladding, rings, scale, size)
        _ellipse(drawn, zones.cladding, CLADDING)
    if zones.core is not None:
        _ellipse(drawn, zones.core, CORE)
    for defect in defects:
        _defect(drawn, defect, corner, size)
    write(
        drawn, _title(zones, state, len(defects)), (round(10 * size), round(32 * size)), size, STATES.get(state, PLAIN)
    )
    return np.asarray(drawn, dtype=np.uint8)


def _title(zones: Zones, state: str, count: int) -> str:
    found = f"support {zones.support:.2f}" if zones.found else f"zones not found (support {zones.support:.2f})"
    return ", ".join([*([state] if state else []), f"{count} marked", found])


def _rings(
    drawn: Drawn, cladding: Ellipse, rings: Mapping[str, tuple[float, float]], scale: Scale | None, size: float
) -> None:
    """Draw where the rules' zones end, with their names."""
    if scale is None:
        return
    for name, (inner, outer) in rings.items():
        at = cladding._replace(radius=outer / 2 / scale.y)
        _ellipse(drawn, at, RING)
        middle = cladding._replace(radius=(inner + outer) / 4 / scale.y)
        x, y = middle.points(np.array([-np.pi / 4]))
        if 0 <= x[0] < drawn.shape[1] and 0 <= y[0] < drawn.shape[0]:
            write(drawn, name, (round(float(x[0])) - 6, round(float(y[0])) + 6), 0.7 * size, RING)


def _ellipse(drawn: Drawn, shape: Ellipse, colour: Colour) -> None:
    x, y = shape.points(np.linspace(0, 2 * np.pi, 361))
    points = np.rint((np.stack([x, y], axis=1) - 0.5) * 16).astype(np.int32)  # OpenCV counts from centres
    cv2.polylines(drawn, [points], isClosed=True, color=colour, thickness=1, lineType=cv2.LINE_AA, shift=4)


def _defect(drawn: Drawn, defect: Drawable, corner: tuple[int, int], size: float) -> None:
    """Draw the outlines of a defect, outside of it, and its number beside it."""
    colour = TYPES[defect.type]
    right, top = 0.0, float("inf")
    for patch in defect.shape.patches:
        padded = np.pad(patch.inside_hw.astype(np.uint8), 1)
        contours, _ = cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        for contour in contours:
            place = (contour[:, 0] - 0.5) * patch.step + np.array([patch.left + corner[0], patch.top + corner[1]])
            points = np.rint((place - 0.5) * 16).astype(np.int32)
            cv2.polylines(drawn, [points], isClosed=True, color=colour, thickness=1, lineType=cv2.LINE_AA, shift=4)
            right, top = max(right, float(place[:, 0].max())), min(top, float(place[:, 1].min()))
    x_P, y_P, _ = defect.shape.points
    if max(np.ptp(x_P), np.ptp(y_P)) < SMALL:
        middle = (round(float(x_P.mean())) + corner[0], round(float(y_P.mean())) + corner[1])
        cv2.circle(drawn, middle, round(SMALL + 2), colour, 1, cv2.LINE_AA)
    height, width = drawn.shape[:2]
    at = (min(round(right) + 3, width - round(30 * size)), min(max(round(top), round(16 * size)), height - 2))
    write(drawn, str(defect.number), at, 0.5 * size, colour)
