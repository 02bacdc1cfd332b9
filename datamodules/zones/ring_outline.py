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
    from .ring_ground import Mask

WAVES = 4  # per turn, at most: two make an oval, four its next order
TUKEY = 5.0  # standard deviations beyond which an edge does not count
ROUNDS = 30
FINEST = 0.1  # pixels: residuals are never taken for smaller
DETRENDED = 31  # rays: what lasts longer is form, not noise
SCATTERED = 121  # rays, 30 degrees, over which noise is alike
MIN_TRUST = 0.02
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
    """Fit an outline with Tukey's weights; None where too little shows.

    Where edges scatter more, as on the dark side of a ring, they count less.
    """
    known = np.isfinite(edges.radius_N)
    if known.sum() < 8 * WAVES:
        return None
    x, y = edges.x, edges.y
    series_K, noise = np.zeros(2 * WAVES - 1), 0.0
    weight_N: Floats | None = None
    trust_N: Floats | None = None
    series: Floats
    for _ in range(ROUNDS):
        seen = turned(edges, x, y)
        series, weight_N, away = _robust(seen.angle_N[known], seen.radius_N[known], weight_N, trust_N)
        trust_N = _trust(edges.at_N, known, away) if trust_N is None else trust_N
        x, y = x + float(series[1]), y + float(series[2])
        series_K = np.concatenate([series[:1], series[3:]])
        if max(abs(series[1]), abs(series[2])) < 1e-4:
            break
    seen = turned(edges, x, y)
    away = seen.radius_N[known] - _basis(seen.angle_N[known], first=False) @ series_K
    noise = _spread(away)
    return Outline(x, y, series_K, noise, float(known.mean()))


def _trust(at_N: Floats, known: Mask, away: Floats) -> Floats:
    """Return what edges count for by how their neighbours scatter: 1 where they scatter least."""
    scattered = np.full(len(at_N), np.nan)
    scattered[known] = away
    scatter_N = local_noise(scattered)[known]
    trust: Floats = np.clip((np.nanmin(scatter_N) / scatter_N) ** 2, MIN_TRUST, 1.0)
    return np.nan_to_num(trust, nan=MIN_TRUST)


def local_noise(away_N: Floats) -> Floats:
    """Return the standard deviation of edges by direction, (N,): of what varies faster than ``DETRENDED`` rays."""
    fast_N = np.abs(away_N - running_median(away_N, DETRENDED))
    local_N = 1.4826 * running_median(fast_N, SCATTERED)
    usual = float(np.nanmedian(local_N)) if np.isfinite(local_N).any() else FINEST
    filled: Floats = np.maximum(np.nan_to_num(local_N, nan=usual), FINEST)
    return filled


def running_median(value_N: Floats, window: int) -> Floats:
    """Return medians over an odd number of rays, past those that are unknown; NaN where fewer than half are known.

    Of long windows only some are looked at, and lines drawn between.
    """
    half, step = window // 2, max(1, window // 16)
    turned = np.concatenate([value_N[-half:], value_N, value_N[:half]])
    windows = np.lib.stride_tricks.sliding_window_view(turned, window)[::step]
    known = np.isfinite(windows).sum(axis=1)
    ordered = np.sort(windows, axis=1)  # NaN last
    rows = np.arange(len(windows))
    low = ordered[rows, np.maximum((known - 1) // 2, 0)]
    high = ordered[rows, np.minimum(known // 2, window - 1)]
    middle = np.where(known > half, (low + high) / 2, np.nan)
    if step == 1:
        return middle
    return np.interp(np.arange(len(value_N)), rows * step, middle, period=len(value_N))


def _robust(
    angle_N: Floats, radius_N: Floats, weight_N: Floats | None, trust_N: Floats | None
) -> tuple[Floats, Floats, Floats]:
    """Fit radii by a series; return it, the weights that it leaves, and the residuals."""
    basis = _basis(angle_N, first=True)
    if weight_N is None:  # begin with the median: a third of the edges may be strange
        weight_N = _tukey(radius_N - np.median(radius_N), 2.0 * _spread(radius_N - np.median(radius_N)))
    ridge = 1e-9 * len(radius_N) * np.eye(basis.shape[1])
    series: Floats = np.zeros(basis.shape[1])
    away: Floats = radius_N
    for _ in range(4):
        weighted = basis * (weight_N if trust_N is None else weight_N * trust_N)[:, None]
        series = np.linalg.solve(weighted.T @ basis + ridge, weighted.T @ radius_N)
        away = radius_N - basis @ series
        weight_N = _tukey(away, _spread(away))
    return series, weight_N, away


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
