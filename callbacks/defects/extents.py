"""How large a region is: the smallest rectangle around it, and its measures in pixels and in micrometres.

Letters: P points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from callbacks.statistics.curves import FloatArray

DIGITS = 3  # of coordinates and lengths; a thousandth of a pixel is more than any map can tell


def largest_diameter(points_P2: FloatArray) -> float:
    """Return the largest distance between two points (x, y) of a region's outline: its largest Feret diameter."""
    hull_P2 = cv2.convexHull((points_P2 - points_P2.mean(axis=0)).astype(np.float32))[:, 0].astype(np.float64)
    return float(np.sqrt(((hull_P2[:, None] - hull_P2[None]) ** 2).sum(axis=2)).max())


def smallest_rectangle(points_P2: FloatArray) -> tuple[float, float, float]:
    """Length, width and orientation in [0, 180) of the smallest rectangle around points (x, y), y pointing down."""
    origin = points_P2.mean(axis=0)  # float32, which OpenCV computes in, tells nearby points apart near zero only
    box_42 = cv2.boxPoints(cv2.minAreaRect((points_P2 - origin).astype(np.float32)))
    sides_22 = np.diff(box_42[:3], axis=0)
    lengths = np.hypot(sides_22[:, 0], sides_22[:, 1])
    along = sides_22[int(lengths.argmax())]
    angle = float(np.degrees(np.arctan2(along[1], along[0]))) % 180
    return float(lengths.max()), float(lengths.min()), 0.0 if round(angle, DIGITS) == 180 else angle


def extents_of(
    area: float, length: float, width: float, size: float, um_per_pixel: float | None
) -> dict[str, float | None]:
    """Name the measures of a region, rounded; those in micrometres are None where the scale is unknown."""
    pixels = {"area": area, "length": length, "width": width, "size": size}
    um = um_per_pixel
    scaled = {
        "area_um2": None if um is None else area * um**2,
        "length_um": None if um is None else length * um,
        "width_um": None if um is None else width * um,
        "size_um": None if um is None else size * um,
    }
    return {name: None if value is None else round(float(value), DIGITS) for name, value in (pixels | scaled).items()}
