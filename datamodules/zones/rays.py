"""An image along rays from a centre: rings as steps of brightness that all rays share, and their sub-pixel edges.

Letters: A rays, T steps along them.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from .ellipse import Ellipse, Floats, Plane, fit_ellipse, spread

RAYS = 360
STEP = 0.5  # pixels along a ray
FULL_TURN = 0.7  # of the turn must be seen before a single ring says how stretched the pixels are
WINDOWS = (0.16, 0.07, 0.035)  # of the radius, on either side, in which rays seek the edge, one fit after another
WIDE, NARROW = 0.04, 0.01  # of the radius, on either side of an edge, where brightness is compared
DISC = 0.15  # the same, to tell a disc from a rim
INLIER = 0.012  # of the radius, or a pixel and a half of a large one: a nearer edge belongs to the fit
BINS = 36


class RingFit(NamedTuple):
    """One ring, fitted.

    Attributes:
        shape: The ellipse.
        share: Of the rays that the image shows: those whose edge lies on it, 0 to 1.
        arc: Of the turn: how much of it has such rays.
        contrast: Brightness outside minus inside, at the edge.
        disc: The same farther from it, so that a rim does not count: above 0 where a dark disc lies on brighter ground.
        scatter: Standard deviation of the edges about it, in pixels.
        sharp: How much of the contrast lies within a hundredth of the radius: about 1 for an edge in focus, 0.3 for a
            slope that goes on.
    """

    shape: Ellipse
    share: float
    arc: float
    contrast: float
    disc: float
    scatter: float
    sharp: float


def along_rays(plane_HW: Plane, shape: Ellipse, at_T: Floats, rays: int = RAYS) -> tuple[Plane, Plane]:
    """Sample an image (A, T) at ``at_T`` radii of an ellipse along its rays.

    Returns:
        The values, and 1.0 where the image has a pixel, else 0.0.
    """
    edge_x, edge_y = shape.points(np.arange(rays) * (2 * np.pi / rays))
    x = (shape.cx + np.outer(edge_x - shape.cx, at_T)).astype(np.float32)
    y = (shape.cy + np.outer(edge_y - shape.cy, at_T)).astype(np.float32)
    height, width = plane_HW.shape
    inside = ((x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)).astype(np.float32)
    values = cv2.remap(plane_HW, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values, dtype=np.float32), inside


def steps(value_AT: Plane, seen_AT: Plane, half: int) -> tuple[Plane, Plane]:
    """Return mean outside minus mean inside over ``half`` steps on either side, and where both are seen, (A, T)."""
    total = np.cumsum(np.pad(value_AT, ((0, 0), (1, 0)), constant_values=0.0), axis=1, dtype=np.float64)
    shown = np.cumsum(np.pad(seen_AT, ((0, 0), (1, 0)), constant_values=0.0), axis=1, dtype=np.float64)
    count = value_AT.shape[1]
    middle = np.arange(count)
    low, high = np.maximum(middle - half, 0), np.minimum(middle + half, count)
    inner, outer = np.maximum(middle - low, 1), np.maximum(high - middle, 1)
    step = (total[:, high] - total[:, middle]) / outer - (total[:, middle] - total[:, low]) / inner
    whole = (shown[:, high] - shown[:, low] >= high - low) & (middle - low == half) & (high - middle == half)
    return step.astype(np.float32), whole.astype(np.float32)


def fit_ring(plane_HW: Plane, start: Ellipse, sign: float, known_aspect: float | None = None) -> RingFit | None:
    """Fit the ring near ``start`` whose outside is brighter (``sign`` 1.0) or darker (-1.0).

    The edge of a ray is where the brightness changes most, between pixels. Where less of the ring is seen than
    ``FULL_TURN``, or the aspect is known, only centre and radius follow it, unless it plainly is not a circle.

    Returns:
        None where the image shows too little of it.
    """
    shape = start
    found: RingFit | None = None
    for window in WINDOWS:
        edge = _ray_edges(plane_HW, shape, sign, window)
        if edge is None:
            return None
        x_P, y_P, seen = edge
        shape, away_P = _fit(x_P, y_P, shape, known_aspect)
        if not 0.5 * start.radius < shape.radius < 2.0 * start.radius:
            return None
        near = np.abs(away_P) < max(INLIER * shape.radius, min(1.5, 0.04 * shape.radius))
        arc = _arc(x_P[near], y_P[near], shape)
        found = RingFit(shape, float(near.sum()) / seen, arc, 0.0, 0.0, spread(away_P[near]), 0.0)
    if found is None:
        return None
    disc, wide, narrow = (contrast_at(plane_HW, found.shape, half) for half in (DISC, WIDE, NARROW))
    return found._replace(contrast=wide, disc=disc, sharp=narrow / wide if wide else 0.0)


def contrast_at(plane_HW: Plane, shape: Ellipse, half: float = WIDE) -> float:
    """Return how much brighter it is just outside an ellipse than just inside, as the median over the rays.

    Args:
        plane_HW: The image.
        shape: The ellipse.
        half: In radii, how far from it brightness is compared, at least; never nearer than half a pixel times this
            over ``NARROW``.
    """
    half = max(half, 0.5 * half / NARROW / shape.radius)
    value, seen = along_rays(plane_HW, shape, np.array([1 - 1.5 * half, 1 - half, 1 + half, 1 + 1.5 * half]), 120)
    rows = value[seen.all(axis=1)]
    return float(np.median(rows[:, 2:].mean(axis=1) - rows[:, :2].mean(axis=1))) if len(rows) else 0.0


def _fit(x_P: Floats, y_P: Floats, start: Ellipse, known_aspect: float | None) -> tuple[Ellipse, Floats]:
    plain = start._replace(aspect=known_aspect, skew=0.0) if known_aspect is not None else start
    circle, circle_away = fit_ellipse(x_P, y_P, plain, stretched=False)
    if known_aspect is not None:
        return circle, circle_away
    stretched, away = fit_ellipse(x_P, y_P, circle)
    if _arc(x_P, y_P, circle) >= FULL_TURN:
        return stretched, away
    circle, circle_away = fit_ellipse(x_P, y_P, circle._replace(aspect=1.0, skew=0.0), stretched=False)
    plainly = spread(circle_away) > 2.0 * max(spread(away), 0.1)
    return (stretched, away) if plainly else (circle, circle_away)


def _ray_edges(plane_HW: Plane, shape: Ellipse, sign: float, window: float) -> tuple[Floats, Floats, int] | None:
    """Return x and y of the edges that rays find, and how many rays the image shows; None where too few."""
    reach = max(window * shape.radius, 3.0)
    at = 1.0 + np.arange(-reach, reach + STEP, STEP) / shape.radius
    at = at[at > 0]
    value_AT, seen_AT = along_rays(plane_HW, shape, at)
    whole = seen_AT.all(axis=1)
    if whole.sum() < RAYS // 10 or len(at) < 7:
        return None
    smooth = cv2.GaussianBlur(value_AT, (0, 0), sigmaX=max(1.6, 0.12 * len(at) * (window > WINDOWS[1])), sigmaY=1.0)
    slope = sign * np.gradient(smooth, axis=1)[whole]
    best = np.argmax(slope[:, 1:-1], axis=1) + 1
    rows = np.arange(len(best))
    low, top, high = slope[rows, best - 1], slope[rows, best], slope[rows, best + 1]
    bend = low - 2 * top + high
    offset = np.where(bend < 0, np.clip(0.5 * (low - high) / np.where(bend < 0, bend, -1.0), -0.5, 0.5), 0.0)
    strong = top > 0.3 * np.median(top)
    if strong.sum() < RAYS // 12 or np.median(top) <= 0:
        return None
    at_P = np.interp(best + offset, np.arange(len(at)), at)
    angle = np.flatnonzero(whole) * (2 * np.pi / RAYS)
    x, y = shape.points(angle)
    x, y = shape.cx + (x - shape.cx) * at_P, shape.cy + (y - shape.cy) * at_P
    return x[strong], y[strong], int(whole.sum())


def _arc(x_P: Floats, y_P: Floats, shape: Ellipse) -> float:
    angle = np.arctan2((y_P - shape.cy), (x_P - shape.cx) / shape.aspect)
    count = np.bincount(((angle / (2 * np.pi) + 0.5) * BINS).astype(np.intp) % BINS, minlength=BINS)
    return float((count >= RAYS / BINS / 4).mean())
