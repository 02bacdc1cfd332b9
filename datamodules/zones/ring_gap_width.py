"""How wide a cut is: two straight walls, blurred alike, are fitted to what shows of the ground at several radii.

The levels of ground and body are fitted too, near to what is expected of them. So a wide cut is measured between its
walls, where a level that is off by a hundredth moves nothing, and a narrow one, of which blur leaves no more than a
dip, by how deep and wide that is. Width is measured straight across the cut, and not along the turn.

Letters: N places, K parameters.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .ellipse import Floats

CENTRE = np.asarray([0.0, 0.0, 0.0, 0.4, 0.0, 1.0])  # what the parameters are expected to be, ...
SPREAD = np.asarray([1e3, 1e2, 0.7, 0.5, 0.05, 0.05])  # ... and by how much they differ, as standard deviations
NUDGE = np.asarray([0.05, 0.05, 1e-3, 0.02, 0.01, 0.01])  # by which slopes are measured
LONGEST = np.asarray([4.0, 3.0, 0.1, 0.2, 0.1, 0.1])  # step
LOWEST = np.asarray([0.3, -np.inf, -1.2, -0.7, -0.5, 0.5])
MOST = np.asarray([np.inf, np.inf, 1.2, 2.3, 0.5, 1.5])
ROUNDS = 20
GAIN = 0.05  # variances: a smaller gain ends the fit
ROBUST = 3.0  # standard deviations beyond which a place counts less: Huber's weights
LOWEST_NOISE = 0.01
ALIKE = (3.0, 0.2)  # pixels, and share of the width, by which fit and area may differ: walls are straight
TURN = np.linspace(-5.0, 5.0, 1001)
SHARE = np.asarray([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in TURN])  # of a bell below a value


class Places(NamedTuple):
    """What is known around a cut.

    Attributes:
        across_N: Pixels from its middle along the turn, straight.
        along_N: Pixels from the middle of the body, away from the ring's centre.
        bare_N: How much of the ground shows: 0 body, 1 ground, and noise.
    """

    across_N: Floats
    along_N: Floats
    bare_N: Floats


def cut_width(places: Places, area_width: float, slant: float) -> float:
    """Return the width of a cut in pixels.

    Args:
        places: Around it.
        area_width: By how much of the ground shows in all; taken where walls are not straight.
        slant: Of its walls against the radius, roughly, in radians.
    """
    value_K = np.asarray([area_width, 0.0, slant, 0.4, 0.0, 1.0])
    noise = max(_noise(places, value_K), LOWEST_NOISE)
    left_N = _left(places, value_K, noise)
    damping = 1e-2
    for _ in range(ROUNDS):
        slope_KN = np.stack([_left(places, moved, noise) for moved in value_K + np.diag(NUDGE)]) - left_N
        slope_KN /= NUDGE[:, None]
        normal = slope_KN @ slope_KN.T
        step_K = np.linalg.solve(normal + np.diag(damping * np.diag(normal)), -slope_KN @ left_N)
        tried_K = np.clip(value_K + np.clip(step_K, -LONGEST, LONGEST), LOWEST, MOST)
        tried_N = _left(places, tried_K, noise)
        gain = float(left_N @ left_N - tried_N @ tried_N)
        if gain <= 0:
            damping *= 8
            continue
        value_K, left_N, damping = tried_K, tried_N, max(damping / 5, 1e-4)
        if gain < GAIN:
            break
    width = float(value_K[0])
    return width if abs(width - area_width) <= max(ALIKE[0], ALIKE[1] * area_width) else area_width


def _noise(places: Places, value_K: Floats) -> float:
    away_N = places.bare_N - _shown(places, value_K)
    return 1.4826 * float(np.median(np.abs(away_N - np.median(away_N))))


def _left(places: Places, value_K: Floats, noise: float) -> Floats:
    """Return what is left of every place and parameter, in standard deviations."""
    left_N = (places.bare_N - _shown(places, value_K)) / noise
    size_N = np.abs(left_N)
    calm_N = np.sign(left_N) * np.sqrt(np.where(size_N > ROBUST, 2 * ROBUST * size_N - ROBUST**2, size_N**2))
    return np.append(calm_N, (value_K - CENTRE) / SPREAD)


def _shown(places: Places, value_K: Floats) -> Floats:
    """Return what a cut shows, by width, place, slant, logarithm of the blur, and the levels of body and ground."""
    width, place, slant, log_blur, body, ground = (float(value) for value in value_K)
    away_N = (places.across_N - place) * math.cos(slant) - places.along_N * math.sin(slant)
    blur = math.exp(log_blur)
    cut_N = _below((away_N + width / 2) / blur) - _below((away_N - width / 2) / blur)
    return body + (ground - body) * cut_N


def _below(turn_N: Floats) -> Floats:
    return np.asarray(np.interp(turn_N, TURN, SHARE))
