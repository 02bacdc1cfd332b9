"""The measures of the o-ring system that Loupe follows, by its own formulas: to compare with what it measured before.

Its circles are the smallest that enclose a contour, so that one fin or speck moves centre and radius, and its contours
are the steps of pixels; ``ring.py`` measures better. Source: kc099/oring, ``rework/``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.files.images import scale, to_rgb

if TYPE_CHECKING:
    from datamodules.files.images import Array

Contour: TypeAlias = npt.NDArray[np.int32]
CORNER = 80  # pixels of a corner's side, whose median is the background
STEP = 30  # grey values from the background to the ring
MOSTLY = 0.75  # of the image: more foreground than this is background
KERNEL = 7  # pixels of the ellipse that closes and opens the mask
SAMPLED = 300  # points of a contour at which thickness is measured, about
NO_RATIO = 99.0  # of greatest to least thickness, where the least is 0
LIMITED = (
    "center_dist",
    "thickness_range",
    "thickness_ratio",
    "eccentricity_pct",
    "circularity_outer",
    "outer_radius",
    "inner_radius",
    "ring_thickness",
    "mean_radius",
    "min_thickness",
    "annular_area_k",
)
"""The eleven that it sets limits to."""


def source_measures(values: Array, background: int | None = None) -> dict[str, float] | None:
    """Measure the largest ring of an image, in pixels; None where it has no hole.

    Args:
        values: (H, W) or (H, W, 3), uint8 or uint16.
        background: Grey value of the ground; None: the median of the four corners.

    Returns:
        The eleven of ``LIMITED`` by name, and ``center_dx``, ``center_dy``, ``max_thickness`` and ``annular_area``.
    """
    grey_HW = _as_grey(values)
    mask_HW = ring_mask(grey_HW, corners(grey_HW) if background is None else background)
    outer, inner = ring_contours(mask_HW)
    if outer is None or inner is None:
        return None
    (outer_x, outer_y), outer_radius = cv2.minEnclosingCircle(outer)
    (inner_x, inner_y), inner_radius = cv2.minEnclosingCircle(inner)
    dx, dy = float(outer_x - inner_x), float(outer_y - inner_y)
    apart, middle = math.hypot(dx, dy), (float(outer_radius) + float(inner_radius)) / 2
    smallest, largest = contour_distances(outer, inner)
    around, area = cv2.arcLength(outer, closed=True), int(np.count_nonzero(mask_HW))
    return {
        "center_dist": apart,
        "thickness_range": largest - smallest,
        "thickness_ratio": largest / smallest if smallest > 0 else NO_RATIO,
        "eccentricity_pct": 100 * apart / middle if middle > 0 else 0.0,
        "circularity_outer": 4 * math.pi * cv2.contourArea(outer) / around**2 if around > 0 else 0.0,
        "outer_radius": float(outer_radius),
        "inner_radius": float(inner_radius),
        "ring_thickness": float(outer_radius) - float(inner_radius),
        "mean_radius": middle,
        "min_thickness": smallest,
        "annular_area_k": area / 1000,
        "center_dx": dx,
        "center_dy": dy,
        "max_thickness": largest,
        "annular_area": float(area),
    }


def _as_grey(values: Array) -> npt.NDArray[np.uint8]:
    """Return 8-bit grey, as the system reads files."""
    scaled = scale(values)
    whole = scaled if scaled.dtype == np.uint8 else np.rint(scaled * 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(to_rgb(whole)), cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def corners(grey_HW: npt.NDArray[np.uint8]) -> int:
    """Return the median of the four corners."""
    height, width = grey_HW.shape
    rows, columns = (slice(CORNER), slice(height - CORNER, height)), (slice(CORNER), slice(width - CORNER, width))
    return int(np.median(np.concatenate([grey_HW[row, column].ravel() for row in rows for column in columns])))


def ring_mask(grey_HW: npt.NDArray[np.uint8], background: int) -> npt.NDArray[np.uint8]:
    """Return the largest piece that differs from the background, closed and opened, (H, W) uint8 0 or 255."""
    differs = cv2.absdiff(grey_HW, np.full_like(grey_HW, background))
    _, mask = cv2.threshold(differs, STEP, 255, cv2.THRESH_BINARY)
    if float(np.mean(mask == 255)) > MOSTLY:
        mask = cv2.bitwise_not(mask)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (KERNEL, KERNEL))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel, iterations=2)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel, iterations=1)
    count, label_HW, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count <= 1:
        return np.asarray(mask, dtype=np.uint8)
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    return np.where(label_HW == largest, 255, 0).astype(np.uint8)


def ring_contours(mask_HW: npt.NDArray[np.uint8]) -> tuple[Contour | None, Contour | None]:
    """Return the largest contour and its largest hole."""
    found, tree = cv2.findContours(mask_HW, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not found:
        return None, None
    largest = int(np.argmax([cv2.contourArea(contour) for contour in found]))
    holes = [contour for contour, (*_, parent) in zip(found, tree[0], strict=True) if parent == largest]
    hole = max(holes, key=cv2.contourArea, default=None)
    return np.asarray(found[largest], np.int32), None if hole is None else np.asarray(hole, np.int32)


def contour_distances(outer: Contour, inner: Contour) -> tuple[float, float]:
    """Return the smallest and the largest distance of a contour's points from the other contour, both ways."""
    distances = [
        abs(cv2.pointPolygonTest(other, (float(point[0][0]), float(point[0][1])), measureDist=True))
        for one, other in ((outer, inner), (inner, outer))
        for point in one[:: max(1, len(one) // SAMPLED)]
    ]
    return min(distances), max(distances)
