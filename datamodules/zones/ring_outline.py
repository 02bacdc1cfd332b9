"""The regular form of an outline: a circle with a few slow waves, which neither fins nor dirt nor dents move.

Letters: N rays, K terms of a Fourier series.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .ring_edges import AROUND

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
MIN_WAVE = 0.01  # pixels: no wave is held to less
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
    start = Fitted(edges.x, edges.y, np.zeros(2 * WAVES + 1), None, None)
    free = _centred(edges, known, start, np.zeros(2 * WAVES + 1))
    x, y, series_K, _, _ = _centred(edges, known, free, _hold(edges, known, free))
    seen = turned(edges, x, y)
    regular_K = np.concatenate([series_K[:1], series_K[3:]])
    away = seen.radius_N[known] - _basis(seen.angle_N[known], first=False) @ regular_K
    return Outline(x, y, regular_K, _spread(away), float(known.mean()))


class Fitted(NamedTuple):
    """An outline while it is fitted.

    Attributes:
        x: Centre.
        y: The same.
        series_K: With the first wave.
        weight_N: Tukey's, of the edges that are known.
        trust_N: What these count for besides.
    """

    x: float
    y: float
    series_K: Floats
    weight_N: Floats | None
    trust_N: Floats | None


def _centred(edges: Edges, known: Mask, start: Fitted, hold_K: Floats) -> Fitted:
    """Fit a series and move its centre until the first wave vanishes."""
    x, y, series_K, weight_N, trust_N = start
    for _ in range(ROUNDS):
        seen = turned(edges, x, y)
        series_K, weight_N, away = _robust(seen.angle_N[known], seen.radius_N[known], weight_N, trust_N, hold_K)
        trust_N = _trust(edges.at_N, known, away) if trust_N is None else trust_N
        x, y = x + float(series_K[1]), y + float(series_K[2])
        if max(abs(series_K[1]), abs(series_K[2])) < 1e-4:
            break
    return Fitted(x, y, series_K, weight_N, trust_N)


def _hold(edges: Edges, known: Mask, free: Fitted) -> Floats:
    """Return what holds each wave to nothing, by how far it is what noise alone would make, (K,).

    Where an arc is missing or faint, waves that are not there would move the centre. Source: empirical Bayes, the
    variance of each wave being its square less that of its error (Efron and Morris, J. Am. Stat. Assoc. 70, 1975).
    """
    seen = turned(edges, free.x, free.y)
    basis = _basis(seen.angle_N[known], first=True)
    weight_N = np.ones(len(basis)) if free.weight_N is None or free.trust_N is None else free.weight_N * free.trust_N
    away = seen.radius_N[known] - basis @ free.series_K
    variance = float((weight_N * away**2).sum() / max(float((weight_N > 0).sum()), 1.0)) * AROUND
    normal = (basis * weight_N[:, None]).T @ basis
    error_K = np.diag(np.linalg.inv(normal + 1e-9 * len(basis) * np.eye(len(normal)))) * variance
    hold_K = np.zeros(len(error_K))
    for wave in range(2, WAVES + 1):
        both = slice(2 * wave - 1, 2 * wave + 1)
        real = float((free.series_K[both] ** 2 - error_K[both]).mean())
        hold_K[both] = variance / max(real, MIN_WAVE**2)
    return hold_K


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
    angle_N: Floats, radius_N: Floats, weight_N: Floats | None, trust_N: Floats | None, hold_K: Floats
) -> tuple[Floats, Floats, Floats]:
    """Fit radii by a series; return it, the weights that it leaves, and the residuals."""
    basis = _basis(angle_N, first=True)
    if weight_N is None:  # begin with the median: a third of the edges may be strange
        weight_N = _tukey(radius_N - np.median(radius_N), 2.0 * _spread(radius_N - np.median(radius_N)))
    ridge = 1e-9 * len(radius_N) * np.eye(basis.shape[1]) + np.diag(hold_K)
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
