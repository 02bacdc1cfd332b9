"""The regular form of an outline: a circle with a few slow waves, which neither fins nor dirt nor dents move.

Letters: N rays, K terms of a Fourier series.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .ellipse import Floats
    from .ring_edges import Edges

WAVES = 4  # per turn, at most: two make an oval, four its next order
TUKEY = 5.0  # standard deviations beyond which an edge does not count
ROUNDS = 30
FINEST = 0.1  # pixels: residuals are never taken for smaller
DIAMETERS = 720  # directions, over half a turn, in which an outline is measured


class Outline(NamedTuple):
    """An outline as a series about its centre.

    Attributes:
        x: Centre, about which the first wave vanishes; whole numbers at pixel centres.
        y: The same.
        series_K: Radius = series[0] + series[1] cos 2t + series[2] sin 2t + series[3] cos 3t + ...
        noise: Standard deviation of the edges about it, in pixels.
        known: Share of the rays that show an edge.
    """

    x: float
    y: float
    series_K: Floats
    noise: float
    known: float

    @property
    def radius(self) -> float:
        """Mean radius."""
        return float(self.series_K[0])

    def at(self, angle: Floats) -> Floats:
        """Return the radius in directions from the centre."""
        radius: Floats = _basis(angle, first=False) @ self.series_K
        return radius

    def diameters(self) -> Floats:
        """Return diameters through the centre, over half a turn."""
        angle = np.arange(DIAMETERS) * (math.pi / DIAMETERS)
        return self.at(angle) + self.at(angle + math.pi)


class Turned(NamedTuple):
    """The edges of an outline about a centre.

    Attributes:
        angle_N: Directions in radians, -pi to pi.
        radius_N: Distances; NaN where no edge shows.
    """

    angle_N: Floats
    radius_N: Floats


def turned(edges: Edges, x: float, y: float) -> Turned:
    """See edges from another centre."""
    edge_x, edge_y = edges.points()
    dx, dy = edge_x - x, edge_y - y
    return Turned(np.where(np.isfinite(dx), np.arctan2(dy, dx), edges.at_N), np.hypot(dx, dy))


def fit_outline(edges: Edges) -> Outline | None:
    """Fit an outline with Tukey's weights; None where too little shows."""
    known = np.isfinite(edges.radius_N)
    if known.sum() < 8 * WAVES:
        return None
    x, y = edges.x, edges.y
    series_K, noise = np.zeros(2 * WAVES - 1), 0.0
    weight_N: Floats | None = None
    for _ in range(ROUNDS):
        seen = turned(edges, x, y)
        series, weight_N = _robust(seen.angle_N[known], seen.radius_N[known], weight_N)
        x, y = x + float(series[1]), y + float(series[2])
        series_K = np.concatenate([series[:1], series[3:]])
        if max(abs(series[1]), abs(series[2])) < 1e-4:
            break
    seen = turned(edges, x, y)
    away = seen.radius_N[known] - _basis(seen.angle_N[known], first=False) @ series_K
    noise = _spread(away)
    return Outline(x, y, series_K, noise, float(known.mean()))


def _robust(angle_N: Floats, radius_N: Floats, weight_N: Floats | None) -> tuple[Floats, Floats]:
    """Fit radii by a series; return it and the weights that it leaves."""
    basis = _basis(angle_N, first=True)
    if weight_N is None:  # begin with the median: a third of the edges may be strange
        away = radius_N - np.median(radius_N)
        weight_N = _tukey(away, 2.0 * _spread(away - np.median(away)))
    ridge = 1e-9 * len(radius_N) * np.eye(basis.shape[1])
    series = np.zeros(basis.shape[1])
    for _ in range(4):
        weighted = basis * weight_N[:, None]
        series = np.linalg.solve(weighted.T @ basis + ridge, weighted.T @ radius_N)
        away = radius_N - basis @ series
        weight_N = _tukey(away, _spread(away))
    return series, weight_N


def _tukey(away_N: Floats, spread: float) -> Floats:
    weight: Floats = np.clip(1.0 - (away_N / (TUKEY * max(spread, FINEST))) ** 2, 0.0, 1.0) ** 2
    return weight


def _spread(away_N: Floats) -> float:
    return 1.4826 * float(np.median(np.abs(away_N))) if len(away_N) else math.inf


def _basis(angle: Floats, *, first: bool) -> Floats:
    """Return the terms of the series at angles, (N, K); with or without the first wave, which is a shift."""
    columns = [np.ones_like(angle)]
    for wave in range(1 if first else 2, WAVES + 1):
        columns += [np.cos(wave * angle), np.sin(wave * angle)]
    return np.stack(columns, axis=-1)
