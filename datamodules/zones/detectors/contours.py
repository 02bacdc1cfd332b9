"""Contours: closed lines of edges, whichever side is brighter; the outermost that is an ellipse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from datamodules.zones.detectors import Circle
from datamodules.zones.ellipse import Ellipse, fit_ellipse, spread

if TYPE_CHECKING:
    from datamodules.zones.view import View

LONGEST = 12  # contours that are tried
MINIMUM = 0.25  # of the image's shorter side: a shorter chain is not a circle to go by
ROUND = 0.03  # of the radius


def detect(view: View) -> Circle | None:
    """Fit ellipses to long chains of edges; take the largest whose outside is brighter and that most of it lies on."""
    edges, shape = view.edges, view.small_hw.shape
    chain = np.zeros(shape, dtype=np.uint8)
    strong = edges.strength_E > 0.25 * np.quantile(edges.strength_E, 0.9) if len(edges.x_E) else np.empty(0, np.bool_)
    chain[edges.y_E[strong].astype(np.intp), edges.x_E[strong].astype(np.intp)] = 255
    chain = np.asarray(cv2.dilate(chain, np.ones((2, 2), np.uint8)), dtype=np.uint8)
    contours, _ = cv2.findContours(chain, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    found = [
        circle
        for contour in sorted(contours, key=len, reverse=True)[:LONGEST]
        if len(contour) > MINIMUM * min(shape)
        and (circle := _fitted(contour[:, 0].astype(np.float64), shape)) is not None
    ]
    if not found:
        return None
    outer = max(found, key=lambda circle: circle.cladding.radius)
    inner = [circle.cladding.radius for circle in found if circle.cladding.radius < 0.9 * outer.cladding.radius]
    return outer._replace(core_radius=max(inner, default=None))


def _fitted(point_P2: np.ndarray[tuple[int, ...], np.dtype[np.float64]], shape: tuple[int, ...]) -> Circle | None:
    (cx, cy), radius = cv2.minEnclosingCircle(point_P2.astype(np.float32))
    if radius < 0.05 * min(shape):
        return None
    x, y = point_P2.T
    found, away = fit_ellipse(x, y, Ellipse(cx, cy, radius), stretched=False)
    angle = np.unique(((np.arctan2(y - found.cy, x - found.cx) / np.pi + 1) * 18).astype(int))
    if len(angle) >= 26:
        found, away = fit_ellipse(x, y, found)
    on_it = float((np.abs(away) < max(0.03 * found.radius, 1.5)).mean())
    if spread(away) > max(ROUND * found.radius, 1.2) or on_it < 0.6 or len(angle) < 12 or not 0.7 < found.aspect < 1.4:
        return None
    if found.radius > 0.65 * min(shape):
        return None
    return Circle(found, None, on_it * len(angle) / 36)
