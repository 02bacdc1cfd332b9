"""Which pieces are rings: one hole each, or an open ring; rings that touch are taken apart at their holes.

Letters: h and w height and width of the small copy, P points of a contour.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from .ellipse import Ellipse, fit_ellipse

if TYPE_CHECKING:
    from .ellipse import Floats
    from .ring_ground import Mask

DIRT = 0.08  # of the largest piece: smaller ones are dirt
MIN_AREA = 60  # pixels of the small copy that a ring covers
ROUND = 0.6  # 4 pi area / perimeter^2 of a hole: the gussets between rings that touch stay below 0.3
HOLE = 0.02  # of what a ring surrounds
SEEN = 0.5  # of a turn that has to be seen of an open ring
TRIES = 200  # circles drawn through three points of an open ring's contour
ROWS = 10  # of an image, in which pieces are read from left to right
NEAR = 1.6  # pixels of the small copy from a circle that count as on it


class Piece(NamedTuple):
    """A ring in the small copy.

    Attributes:
        mask_hw: What belongs to it, its body without its hole.
        x: Of its centre, roughly; whole numbers at pixel centres.
        y: The same.
        open: It has no hole, as one that is cut through, or cut by the image's border.
    """

    mask_hw: Mask
    x: float
    y: float
    open: bool


def find_pieces(mask_hw: Mask) -> tuple[list[Piece], int]:
    """List the rings of a mask, row by row from the top, and count the pieces that are not.

    Dirt, which is much smaller than the largest piece, is not counted.
    """
    count, found_hw, statistics, _ = cv2.connectedComponentsWithStats(mask_hw.astype(np.uint8), connectivity=8)
    area = statistics[1:, cv2.CC_STAT_AREA]
    large = [label + 1 for label in range(count - 1) if area[label] >= max(MIN_AREA, DIRT * int(area.max()))]
    pieces: list[Piece] = []
    strange = 0
    for label in large:
        left, top, width, height, _ = (int(value) for value in statistics[label])
        inside = (slice(top, top + height), slice(left, left + width))
        found = [_placed(one, mask_hw.shape, top, left) for one in _rings_of(found_hw[inside] == label)]
        pieces += found
        strange += not found
    return sorted(pieces, key=lambda one: (round(ROWS * one.y / mask_hw.shape[0]), one.x)), strange


def _placed(piece: Piece, size: tuple[int, ...], top: int, left: int) -> Piece:
    whole = np.zeros(size, dtype=np.bool_)
    height, width = piece.mask_hw.shape
    whole[top : top + height, left : left + width] = piece.mask_hw
    return Piece(whole, piece.x + left, piece.y + top, piece.open)


def _rings_of(mask_hw: Mask) -> list[Piece]:
    """Take a piece of a mask apart."""
    padded = cv2.copyMakeBorder(mask_hw.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    contours, _ = cv2.findContours(padded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=(-1, -1))
    outer = max(contours, key=cv2.contourArea)
    holes = _holes(mask_hw, cv2.contourArea(outer))
    if not holes:
        return _open_ring(mask_hw, outer)
    filled = mask_hw.copy()
    for hole in _all_holes(mask_hw):
        filled |= hole  # glare on the rubber is not a hole
    for hole in holes:
        filled &= ~hole
    if len(holes) == 1:
        return [_closed_ring(filled, holes[0])]
    return [_closed_ring(part, hole) for part, hole in zip(_apart(filled, holes), holes, strict=True)]


def _all_holes(mask_hw: Mask) -> list[Mask]:
    """List what the piece surrounds."""
    outside = cv2.copyMakeBorder((~mask_hw).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    count, label_hw = cv2.connectedComponents(outside, connectivity=4)
    inside = label_hw[1:-1, 1:-1]
    return [inside == label for label in range(1, count) if label != label_hw[0, 0]]


def _holes(mask_hw: Mask, surrounded: float) -> list[Mask]:
    """List the holes that make rings: round, and of some size."""
    min_area = max(HOLE * surrounded, 9)
    found = [hole for hole in _all_holes(mask_hw) if hole.sum() >= min_area and _roundness(hole) >= ROUND]
    largest = max((int(hole.sum()) for hole in found), default=0)
    return [hole for hole in found if hole.sum() >= 0.2 * largest]


def _roundness(mask_hw: Mask) -> float:
    contours, _ = cv2.findContours(mask_hw.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(max(contours, key=cv2.contourArea))
    around = cv2.arcLength(hull, closed=True)
    solid = float(mask_hw.sum()) / max(cv2.contourArea(hull), 1e-9)
    return 4 * math.pi * cv2.contourArea(hull) / max(around**2, 1e-9) * min(solid, 1.0)


def _closed_ring(mask_hw: Mask, hole_hw: Mask) -> Piece:
    y, x = np.nonzero(hole_hw)
    return Piece(mask_hw, float(x.mean()), float(y.mean()), open=False)


def _apart(mask_hw: Mask, holes: list[Mask]) -> list[Mask]:
    """Give every pixel of the body to the hole that is nearest: rings of one thickness part where they touch."""
    distance = [cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5) for hole in holes]
    nearest = np.argmin(distance, axis=0)
    return [mask_hw & (nearest == number) for number in range(len(holes))]


def _open_ring(mask_hw: Mask, contour: np.ndarray) -> list[Piece]:
    """Find the circle that an open ring lies on; none where the piece is not a ring."""
    points = contour[:, 0].astype(np.float64)
    circle = _outer_circle(points)
    if circle is None:
        return []
    away = np.hypot(points[:, 0] - circle.cx, points[:, 1] - circle.cy)
    on = np.abs(away - circle.radius) <= NEAR
    angle = np.arctan2(points[on, 1] - circle.cy, points[on, 0] - circle.cx)
    seen = len(np.unique(np.floor(angle / (2 * math.pi) * 72))) / 72
    y, x = np.mgrid[0 : mask_hw.shape[0], 0 : mask_hw.shape[1]]
    middle = np.hypot(x - circle.cx, y - circle.cy) < 0.15 * circle.radius
    solid = bool(middle.any()) and float(mask_hw[middle].mean()) > 0.5
    if seen < SEEN or solid or (away > circle.radius * 1.25).mean() > 0.1:
        return []
    return [Piece(mask_hw, circle.cx, circle.cy, open=True)]


def _outer_circle(points: Floats) -> Ellipse | None:
    """Fit a circle to the longest arc of a contour, by drawing three points at a time."""
    if len(points) < 12:
        return None
    rng = np.random.default_rng(0)
    best: Ellipse | None = None
    most = 0
    for _ in range(TRIES):
        circle = _through(points[rng.choice(len(points), 3, replace=False)])
        if circle is None:
            continue
        away = np.hypot(points[:, 0] - circle.cx, points[:, 1] - circle.cy) - circle.radius
        if (on := int((np.abs(away) <= NEAR).sum())) > most:
            best, most = circle, on
    if best is None:
        return None
    away = np.hypot(points[:, 0] - best.cx, points[:, 1] - best.cy) - best.radius
    near = points[np.abs(away) <= 2 * NEAR]
    return fit_ellipse(near[:, 0], near[:, 1], best, stretched=False)[0]


def _through(three: Floats) -> Ellipse | None:
    """Return the circle through three points; None where they lie on a line."""
    (ax, ay), (bx, by), (cx, cy) = three
    twice = 2 * (ax * (by - cy) + bx * (cy - ay) + cx * (ay - by))
    if abs(twice) < 1e-6:
        return None
    a, b, c = ax**2 + ay**2, bx**2 + by**2, cx**2 + cy**2
    x = (a * (by - cy) + b * (cy - ay) + c * (ay - by)) / twice
    y = (a * (cx - bx) + b * (ax - cx) + c * (bx - ax)) / twice
    return Ellipse(float(x), float(y), float(math.hypot(ax - x, ay - y)))
