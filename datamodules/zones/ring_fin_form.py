"""How high a fin is, from all that the image shows of it: sharp fins of several forms are fitted, blurred.

A form says how a fin's width falls with its height. Each is fitted by height, width, place, slant, brightness, which
goes on as the body's does, and, where its tip may be cut off, by how wide that is. The height is the mean over the
forms, weighted by how likely each of them is, with all values of its parameters that would do as well (Laplace's
approximation: MacKay, "Bayesian interpolation", Neural Computation 4, 1992). Blur takes most of a narrow tip away, and
what it leaves is spread over few pixels: these are compared one by one, for their sum along the outline would add the
noise of all that lie beside.

Letters: T places along an outline, M across it, F thin layers of a fin, K parameters, P sets of them, N pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .ellipse import Floats

LAYER = 0.5  # pixels
BEYOND = 5.0  # standard deviations of the blur above the blurred tip to which layers go
UNDER = 3.5  # below what is compared, from which layers are spread into it
CENTRE = np.asarray([0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.3])  # what the parameters are expected to be, ...
SPREAD = np.asarray(
    [30.0, 30.0, 10.0, 1.5, 0.2, 0.01, 0.4]
)  # ... and by how much they may differ, as standard deviations
RISE = 5  # which of them is expected to be as the body is
NUDGE = np.asarray([0.05, 0.05, 0.05, 0.02, 0.02, 0.002, 0.02])  # by which slopes are measured
LONGEST = np.asarray([1.5, 3.0, 2.0, 0.3, 0.1, 0.01, 0.2])  # step
LOWEST = np.asarray([1.0, 0.3, -np.inf, -4.0, 0.3, -0.08, 0.0])
MOST = np.asarray([np.inf, np.inf, np.inf, 4.0, 1.5, 0.08, 1.0])
HIGHER = 4.0  # standard deviations of the blur by which a tip may be higher than its blurred one
ROUNDS = 12
GAIN = 0.2  # variances: a smaller gain ends the fit
BETWEEN = 4.0  # by so much less do forms differ in likelihood: those of real fins lie between them
TURN = np.linspace(-5.0, 5.0, 1001)
SHARE = np.asarray([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in TURN])  # of a bell below a value


class Form(NamedTuple):
    """A fin's half width at a share s of its height: (1 - s^power)^tip of that at its foot.

    Attributes:
        power: See above.
        tip: 0 is square, 0.5 round, 1 sharp.
        cut: The tip may be cut off: some width is added at all heights.
    """

    power: float
    tip: float
    cut: bool = False


FORMS = (
    Form(0.5, 0.5),
    Form(1.0, 0.5),
    Form(2.0, 0.5),
    Form(1.0, 1.0),
    Form(0.6, 1.0),
    Form(1.0, 0.0),
    Form(1.0, 1.0, cut=True),
)
"""Three round ones, a triangle, a sharper one, a rectangle, and a triangle cut off."""


class Patch(NamedTuple):
    """The upper part of a fin.

    Attributes:
        cover_TM: How much of the body is there, beyond the plain outline: 0 to 1, and noise.
        along_T: Places along the outline, in pixels.
        across_M: Distances from the outline, out of the body.
        blur: Standard deviation of the lens in pixels.
        tip: How far the blurred fin reaches.
        rise: By what share of its brightness the body grows brighter with every pixel at the outline, outwards.
        variance: Of the noise of ``cover_TM``.
    """

    cover_TM: Floats
    along_T: Floats
    across_M: Floats
    blur: float
    tip: float
    rise: float
    variance: float


class Fitted(NamedTuple):
    """A form with some parameters.

    Attributes:
        value_K: Height, half width at the foot, place, slant, brightness at the foot as a share of the body's, by what
            share that grows with every pixel of height, and, where it may be cut, the tip's share of the width.
        misfit: Squares that are left.
        slope_KN: Change of every pixel with every parameter, and of every parameter with itself, in noise of a pixel.
        left_N: What is left of them.
    """

    value_K: Floats
    misfit: float
    slope_KN: Floats
    left_N: Floats


def height_over_forms(patch: Patch) -> float:
    """Return the height of the fin, in pixels from its outline."""
    fits = [_fit(patch, form) for form in FORMS]
    variance = max(patch.variance, min(fit.misfit for fit in fits) / patch.cover_TM.size)
    likely = np.asarray([_room(fit, patch.variance) - fit.misfit / (2 * variance) for fit in fits])
    weight = np.exp((likely - likely.max()) / BETWEEN)
    return float(weight @ np.asarray([fit.value_K[0] for fit in fits]) / weight.sum())


def _room(fit: Fitted, variance: float) -> float:
    """Return the logarithm of the share of all parameters beforehand that agree with the image."""
    normal = fit.slope_KN @ fit.slope_KN.T / variance
    return -float(np.log(SPREAD[: len(normal)]).sum() + 0.5 * np.linalg.slogdet(normal)[1])


def _fit(patch: Patch, form: Form) -> Fitted:
    """Fit a form by Levenberg's and Marquardt's method."""
    best, damping = _at(patch, form, _start(patch, form)), 1e-2
    for _ in range(ROUNDS):
        tried = _at(patch, form, _next(best, damping, patch))
        gain = best.misfit - tried.misfit
        if gain <= 0:
            damping *= 8
            continue
        best, damping = tried, max(damping / 5, 1e-4)
        if gain < GAIN * patch.variance:
            break
    return best


def _start(patch: Patch, form: Form) -> Floats:
    """Guess the parameters from the two lowest rows."""
    low_T = patch.cover_TM[:, :2].mean(axis=1)
    weight_T = np.clip(low_T, 0.0, None)
    half = max(float(low_T.sum()) / 2, 0.7)
    place = float(patch.along_T @ weight_T / max(float(weight_T.sum()), 1e-9))
    height = patch.tip + (0.6 * patch.blur if form.tip == 1.0 and not form.cut else 0.0)
    share = min(max(float(patch.across_M[0]), 0.0) / (patch.tip + 0.5), 0.95)
    foot = half / max((1 - share**form.power) ** form.tip, 0.15)
    return np.asarray([height, foot, place, 0.0, 1.0, patch.rise, 0.3][: 7 if form.cut else 6])


def _next(fit: Fitted, damping: float, patch: Patch) -> Floats:
    normal, count = fit.slope_KN @ fit.slope_KN.T, len(fit.value_K)
    damped = normal + np.diag(damping * np.diag(normal))
    step_K = np.clip(np.linalg.solve(damped, fit.slope_KN @ fit.left_N), -LONGEST[:count], LONGEST[:count])
    value_K: Floats = np.clip(fit.value_K + step_K, LOWEST[:count], MOST[:count])
    value_K[0] = min(value_K[0], patch.tip + HIGHER * patch.blur)
    return value_K


def _at(patch: Patch, form: Form, value_K: Floats) -> Fitted:
    """Compare a form to the image, and its parameters to what they are expected to be."""
    count = len(value_K)
    centre_K, held_K = CENTRE.copy(), math.sqrt(patch.variance) / SPREAD[:count]
    centre_K[RISE] = patch.rise
    cover_PTM = _blurred(patch, form, np.concatenate([value_K[None], value_K + np.diag(NUDGE[:count])]))
    slope_KN = ((cover_PTM[1:] - cover_PTM[0]) / NUDGE[:count, None, None]).reshape(count, -1)
    left_N = np.append(patch.cover_TM - cover_PTM[0], (centre_K[:count] - value_K) * held_K)
    return Fitted(value_K, float(left_N @ left_N), np.hstack([slope_KN, np.diag(held_K)]), left_N)


def _blurred(patch: Patch, form: Form, value_PK: Floats) -> Floats:
    """Draw fins as a lens shows them, (P, T, M): layer by layer along the outline, then across it."""
    lowest = max(float(patch.across_M[0]) - UNDER * patch.blur, 0.0)
    layer_F = np.arange(lowest, patch.tip + BEYOND * patch.blur, LAYER) + LAYER / 2
    height_P1, foot_P1, place_P1, slant_P1 = (value_PK[:, index : index + 1] for index in range(4))
    width_PF = (1 - np.clip(layer_F / height_P1, 0.0, 1.0) ** form.power) ** form.tip
    if form.cut:
        width_PF = width_PF * (1 - value_PK[:, 6:]) + value_PK[:, 6:]
    width_PF = (foot_P1 * width_PF)[..., None]
    away_PFT = patch.along_T - (place_P1 + slant_P1 * (layer_F - patch.tip))[..., None]
    full_PF = np.clip((height_P1 - layer_F) / LAYER + 0.5, 0.0, 1.0)
    cover_PFT = _below((away_PFT + width_PF) / patch.blur) - _below((away_PFT - width_PF) / patch.blur)
    light_PF = value_PK[:, 4:5] * (1 + value_PK[:, 5:6] * layer_F)
    cover_PFT *= (full_PF * light_PF)[..., None]
    spread_MF = np.exp(-0.5 * ((patch.across_M[:, None] - layer_F) / patch.blur) ** 2)
    spread_MF *= LAYER / (patch.blur * math.sqrt(2 * math.pi))
    return np.asarray(np.matmul(spread_MF, cover_PFT).swapaxes(1, 2))


def _below(turn: Floats) -> Floats:
    """Return the share of a bell that lies below a value."""
    return np.asarray(np.interp(turn, TURN, SHARE))
