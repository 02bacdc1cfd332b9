"""Ellipses: what a circle on the end face becomes in pixels that need not be square, or under a tilted microscope.

Letters: P points. Lengths are in pixels; whole numbers lie at pixel centres unless a docstring says otherwise.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Plane: TypeAlias = npt.NDArray[np.float32]

TUKEY = 4.685  # residuals beyond so many standard deviations count for nothing (95 % efficient for normal noise)
ROUNDS = 12


class Ellipse(NamedTuple):
    """The points with u^2 + v^2 + 2 skew u v = 1, where u = (x - cx) / (aspect radius) and v = (y - cy) / radius.

    Attributes:
        cx: Centre.
        cy: Centre.
        radius: Along y.
        aspect: Radius along x over radius along y.
        skew: 0 where the axes are those of the image; about the relative stretch along a diagonal otherwise.
    """

    cx: float
    cy: float
    radius: float
    aspect: float = 1.0
    skew: float = 0.0

    @property
    def mean_radius(self) -> float:
        """Radius of the circle of the same area."""
        return self.radius * math.sqrt(self.aspect) / math.sqrt(math.sqrt(1.0 - self.skew**2))

    def moved(self, dx: float, dy: float, factor: float = 1.0) -> Ellipse:
        """Return it scaled about the origin by ``factor``, then moved."""
        return self._replace(cx=self.cx * factor + dx, cy=self.cy * factor + dy, radius=self.radius * factor)

    def distance(self, x: Floats, y: Floats) -> Floats:
        """Return how far points are from the centre, in radii towards them: 1 on the ellipse."""
        u, v = (x - self.cx) / (self.aspect * self.radius), (y - self.cy) / self.radius
        level: Floats = np.sqrt(np.maximum(u * u + v * v + 2.0 * self.skew * u * v, 0.0))
        return level

    def points(self, angle_P: Floats) -> tuple[Floats, Floats]:
        """Return x and y of the points in the directions whose (u, v) has these angles."""
        cos, sin = np.cos(angle_P), np.sin(angle_P)
        reach = self.radius / np.sqrt(1.0 + 2.0 * self.skew * cos * sin)
        return self.cx + self.aspect * reach * cos, self.cy + reach * sin


def overlap(first: Ellipse, second: Ellipse) -> float:
    """Return intersection over union, 0 to 1, of the circles of the same areas, in pixels made square."""
    aspect = math.sqrt(first.aspect * second.aspect)
    a, b = first.mean_radius, second.mean_radius
    gap = math.hypot((first.cx - second.cx) / math.sqrt(aspect), (first.cy - second.cy) * math.sqrt(aspect))
    if gap >= a + b:
        return 0.0
    if gap <= abs(a - b):
        return min(a, b) ** 2 / max(a, b) ** 2
    angle_a = math.acos((gap**2 + a**2 - b**2) / (2 * gap * a))
    angle_b = math.acos((gap**2 + b**2 - a**2) / (2 * gap * b))
    lens = a * a * (angle_a - math.sin(2 * angle_a) / 2) + b * b * (angle_b - math.sin(2 * angle_b) / 2)
    return lens / (math.pi * (a * a + b * b) - lens)


def fit_ellipse(x_P: Floats, y_P: Floats, start: Ellipse, *, stretched: bool = True) -> tuple[Ellipse, Floats]:
    """Fit an ellipse to points by their distances from it, with Tukey's weights; not every point need lie on it.

    Args:
        x_P: Points.
        y_P: Points.
        start: Where to begin; its aspect and skew stay where they are not ``stretched``.
        stretched: Let aspect and skew follow the points, too.

    Returns:
        The ellipse, and each point's signed distance from it in pixels, positive outside.
    """
    found, free = start, 5 if stretched else 3
    for _ in range(ROUNDS):
        slope_P5, away_P = _residuals(x_P, y_P, found)
        weight_P = _tukey(away_P)
        weighted = slope_P5[:, :free] * weight_P[:, None]
        normal = weighted.T @ slope_P5[:, :free] + 1e-9 * np.eye(free) * len(x_P)
        step = np.linalg.solve(normal, -weighted.T @ away_P)
        found = _stepped(found, step)
        if np.abs(step[:3]).max() < 1e-4:
            break
    return found, _residuals(x_P, y_P, found)[1]


def spread(away_P: Floats) -> float:
    """Return the standard deviation of residuals, from their median size, so that strays do not count."""
    return 1.4826 * float(np.median(np.abs(away_P))) if len(away_P) else math.inf


def _tukey(away_P: Floats) -> Floats:
    reach = TUKEY * max(spread(away_P), 0.05)
    weight_P: Floats = np.clip(1.0 - (away_P / reach) ** 2, 0.0, 1.0) ** 2
    return weight_P


def _residuals(x_P: Floats, y_P: Floats, shape: Ellipse) -> tuple[Floats, Floats]:
    """Return derivatives (P, 5) of the distances by (cx, cy, radius, log aspect, skew), and the distances (P,)."""
    width, height = shape.aspect * shape.radius, shape.radius
    dx, dy = x_P - shape.cx, y_P - shape.cy
    u, v = dx / width, dy / height
    level = np.sqrt(np.maximum(u * u + v * v + 2.0 * shape.skew * u * v, 1e-12))
    along_u, along_v = (u + shape.skew * v) / level, (v + shape.skew * u) / level
    local = np.hypot(dx, dy) / level  # pixels per unit of level, towards the point
    slopes = (
        -along_u / width,
        -along_v / height,
        -level / shape.radius,
        -along_u * u,
        u * v / level,
    )
    return np.stack(slopes, axis=1) * local[:, None], (level - 1.0) * local


def _stepped(shape: Ellipse, step: Floats) -> Ellipse:
    stretch, skew = (float(step[3]), float(step[4])) if len(step) == 5 else (0.0, 0.0)
    return Ellipse(
        shape.cx + float(step[0]),
        shape.cy + float(step[1]),
        max(shape.radius + float(np.clip(step[2], -0.3 * shape.radius, 0.3 * shape.radius)), 0.5),
        float(np.clip(shape.aspect * math.exp(np.clip(stretch, -0.2, 0.2)), 0.3, 3.0)),
        float(np.clip(shape.skew + np.clip(skew, -0.1, 0.1), -0.5, 0.5)),
    )
