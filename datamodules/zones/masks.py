"""Zones as a map of ids, and drawn over the image to be looked at.

Ids: 1 core, 2 cladding, 3 ferrule. Where the core is unknown, the cladding's id covers it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.files.images import Array, to_rgb

from .ellipse import Ellipse
from .view import to_grey

if TYPE_CHECKING:
    from datamodules.files.fitting import Placement

CORE, CLADDING, FERRULE = 1, 2, 3
COLOURS = {"cladding": (0, 200, 0), "seen": (230, 30, 30), "given": (220, 0, 220)}  # RGB


def zone_map(cladding: Ellipse, core: Ellipse | None, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return the zone of every pixel's centre, (H, W) uint8.

    Args:
        cladding: In pixels whose (0, 0) is the outer corner of the image.
        core: The same, or None.
        size: Height and width.
    """
    height, width = size
    x, y = np.arange(width)[None] + 0.5, np.arange(height)[:, None] + 0.5
    zones = np.where(cladding.distance(x, y) <= 1.0, CLADDING, FERRULE).astype(np.uint8)
    if core is not None:
        zones[core.distance(x, y) <= 1.0] = CORE
    return zones


def fitted_zones(cladding: Ellipse, core: Ellipse | None, placement: Placement) -> npt.NDArray[np.uint8]:
    """Return the zone of every pixel (h, w) of what a model sees; padding has none.

    Args:
        cladding: In pixels of the image on disk, as in ``zone_map``.
        core: Likewise, or None.
        placement: How the image lies in what the model sees.
    """
    zones = zone_map(_fitted(cladding, placement), None if core is None else _fitted(core, placement), placement.seen)
    if placement.padded:
        zones[~placement.inside()] = 0
    return zones


def _fitted(shape: Ellipse, placement: Placement) -> Ellipse:
    part, frame = placement.part, placement.frame
    cut = resized(shape.moved(-part.left, -part.top), part.size, frame.size)
    return cut.moved(frame.left, frame.top)


def resized(shape: Ellipse, before: tuple[int, int], after: tuple[int, int]) -> Ellipse:
    """Return an ellipse of an image (H, W) as it lies in the same image at another size; (0, 0) stays the corner."""
    down, across = after[0] / before[0], after[1] / before[1]
    return Ellipse(shape.cx * across, shape.cy * down, shape.radius * down, shape.aspect * across / down, shape.skew)


def overlay(
    values: Array, cladding: Ellipse | None, core: Ellipse | None, core_source: str, caption: str
) -> npt.NDArray[np.uint8]:
    """Draw what was found over an image, as thin lines, with a sentence in its corner: (H, W, 3) RGB uint8."""
    drawn = np.ascontiguousarray(to_rgb(np.rint(to_grey(values) * 255).astype(np.uint8)))
    size = max(min(drawn.shape[:2]) / 1000, 0.4)
    for shape, colour in ((cladding, COLOURS["cladding"]), (core, COLOURS.get(core_source, COLOURS["seen"]))):
        if shape is not None:
            x, y = shape.points(np.linspace(0, 2 * np.pi, 361))
            points = np.rint((np.stack([x, y], axis=1) - 0.5) * 16).astype(np.int32)  # OpenCV counts from centres
            cv2.polylines(drawn, [points], isClosed=True, color=colour, thickness=1, lineType=cv2.LINE_AA, shift=4)
    drawn[: round(52 * size)] //= 3  # a band for the sentence; an outline would be wider than the letters
    place = (round(12 * size), round(36 * size))
    cv2.putText(drawn, caption, place, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(drawn, dtype=np.uint8)
