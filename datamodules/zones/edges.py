"""Edges of a small image as points with a direction: what voting and random sampling look for circles in.

Letters: E edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from .ellipse import Floats, Plane

MOST = 3000  # edges, the strongest: a circle has a few hundred
SMOOTH = 1.0  # pixels


class Edges(NamedTuple):
    """Points at which the brightness changes most, across the direction in which it does.

    Attributes:
        x_E: Whole numbers at pixel centres.
        y_E: The same.
        toward_E2: Unit vectors (x, y) to the brighter side.
        strength_E: Change of brightness per pixel.
    """

    x_E: Floats
    y_E: Floats
    toward_E2: Floats
    strength_E: Floats


def find_edges(small_hw: Plane) -> Edges:
    """Find the strongest edges: where the gradient is larger than on both its sides."""
    smooth = cv2.GaussianBlur(small_hw, (0, 0), SMOOTH)
    dx, dy = (
        np.asarray(cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=3, scale=0.125), dtype=np.float32)
        for order in ((1, 0), (0, 1))
    )
    size_hw: Plane = np.hypot(dx, dy)
    size_hw[[0, -1], :] = size_hw[:, [0, -1]] = 0.0
    y, x = np.nonzero((size_hw > 2.0 * np.median(size_hw)) & _thin(size_hw, dx, dy))
    strength = size_hw[y, x].astype(np.float64)
    strongest = np.argsort(-strength, kind="stable")[:MOST]
    x, y, strength = x[strongest], y[strongest], strength[strongest]
    toward = np.stack([dx[y, x], dy[y, x]], axis=1) / np.maximum(strength, 1e-12)[:, None]
    return Edges(x.astype(np.float64), y.astype(np.float64), toward, strength)


def _thin(size_hw: Plane, dx: Plane, dy: Plane) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Tell which pixels are not weaker than their two neighbours across the edge."""
    octant = np.round(np.arctan2(dy, dx) / (np.pi / 4)).astype(np.int64) % 4
    thin = np.zeros(size_hw.shape, dtype=np.bool_)
    for number, (right, down) in enumerate(((1, 0), (1, 1), (0, 1), (-1, 1))):
        ahead, behind = (np.roll(size_hw, (s * down, s * right), axis=(0, 1)) for s in (-1, 1))
        thin |= (octant == number) & (size_hw >= ahead) & (size_hw > behind)
    return thin
