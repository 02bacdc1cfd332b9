"""Radial voting: every edge votes for the centres on the line across it; the circles are steps that all rays share.

After Loy and Zelinsky, "Fast radial symmetry for detecting points of interest", IEEE TPAMI 25(8), 2003.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from datamodules.zones.detectors import Circle
from datamodules.zones.ellipse import Ellipse
from datamodules.zones.rays import RingFit, fit_ring
from datamodules.zones.rings import COHERENT, Ring, rings

if TYPE_CHECKING:
    from datamodules.zones.edges import Edges
    from datamodules.zones.ellipse import Plane
    from datamodules.zones.view import View

BEYOND = 0.6  # of a side: how far outside the image a centre may lie
RADII = (0.04, 0.62)  # of the shorter side
CENTRES = 4
SURE = 0.9  # a circle of this confidence needs no other centre beside it
OUTER = 0.25  # of the strongest ring's contrast: the outermost ring of at least this is the cladding


def detect(view: View) -> Circle | None:
    """Find centre and rings by voting."""
    best: Circle | None = None
    most = 0.0
    for x, y in vote(view.edges, view.small_hw.shape):
        strength, circle = _circle_about(view, x, y) or (0.0, None)
        if circle is not None and strength > most:
            best, most = circle, strength
        if best is not None and best.confidence > SURE:
            break
    return best


def vote(edges: Edges, shape: tuple[int, ...]) -> list[tuple[float, float]]:
    """Return the places (x, y) that most edges point to or away from, best first."""
    height, width = shape
    pad_x, pad_y = round(BEYOND * width), round(BEYOND * height)
    low, high = (share * min(shape) for share in RADII)
    radius_R = np.concatenate([np.arange(low, high), -np.arange(low, high)])
    x = np.rint(edges.x_E[:, None] + edges.toward_E2[:, :1] * radius_R).astype(np.intp) + pad_x
    y = np.rint(edges.y_E[:, None] + edges.toward_E2[:, 1:] * radius_R).astype(np.intp) + pad_y
    size = (height + 2 * pad_y, width + 2 * pad_x)
    inside = (x >= 0) & (y >= 0) & (x < size[1]) & (y < size[0])
    votes = np.bincount((y * size[1] + x)[inside], minlength=size[0] * size[1]).reshape(size).astype(np.float32)
    votes = np.asarray(cv2.GaussianBlur(votes, (0, 0), 2.0) - cv2.GaussianBlur(votes, (0, 0), 12.0), dtype=np.float32)
    places = []
    for _ in range(CENTRES):
        row, column = np.unravel_index(np.argmax(votes), size)
        places.append((float(column - pad_x), float(row - pad_y)))
        cv2.circle(votes, (int(column), int(row)), round(0.06 * min(shape)) + 2, -1e9, cv2.FILLED)
    return places


def _circle_about(view: View, x: float, y: float) -> tuple[float, Circle] | None:
    """Return the cladding about a centre and how much speaks for it: contrast times the share of rays that see it."""
    unit = Ellipse(x, y, 1.0, view.aspect)
    low, high = (share * min(view.small_hw.shape) for share in RADII)
    seen = [ring for ring in rings(view.small_hw, unit, low, high, 3.0) if ring.coherence >= 0.55 * COHERENT]
    tried = [_fit(view.small_hw, unit, ring) for ring in seen[:4]]
    fits = [fit for fit in tried if fit is not None and fit.share > 0.5]
    if not (choice := [fit for fit in fits if fit.contrast > 0 and fit.disc > 0] or fits):
        return None
    strongest = max(abs(fit.contrast) * fit.share for fit in choice)
    outer = max(
        (fit for fit in choice if abs(fit.contrast) * fit.share >= OUTER * strongest),
        key=lambda fit: fit.shape.radius,
    )
    inner = [fit for fit in fits if fit.shape.radius < 0.92 * outer.shape.radius]
    core = max(inner, key=lambda fit: abs(fit.contrast) * fit.share).shape.radius if inner else None
    confidence = outer.share * min(1.0, 1.5 * outer.arc + 0.25)
    return strongest * confidence, Circle(outer.shape, core, confidence)


def _fit(small_hw: Plane, unit: Ellipse, ring: Ring) -> RingFit | None:
    return fit_ring(small_hw, unit._replace(radius=ring.at), 1.0 if ring.contrast > 0 else -1.0)
