"""How high a fin is, whose tip the lens has blurred away: the part of the image that tells it, and the blur.

What the plain outline beside a fin shows is taken off: the rest is the fin alone. That outline tells its blur, too.

Letters: T places along an outline, M samples across it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from .ring_fin_form import Patch, height_over_forms

if TYPE_CHECKING:
    from .ellipse import Floats, Plane
    from .ring_ground import Mask
    from .ring_outline import Outline

ALONG = 0.5  # pixels between places
ACROSS = 0.5  # pixels between samples
REACH = 90.0  # pixels looked at to both sides of a fin, at most; what is plain of them tells the blur
TURN = 0.35  # radians, at most
DEPTH, BEYOND = 8.0, 18.0  # pixels looked at below the outline, and above the fin
FOOT = 6.0  # pixels along the outline within which a fin's crest lies
FADED = 0.06  # of a fin's section at its crest: its foot
PAD = 5.0  # pixels beyond the foot that are not plain
PLAIN = 16.0  # pixels of plain outline that must be left
NEAR = 7.0  # pixels to both sides of the outline that tell its blur
BLURS = np.geomspace(0.5, 4.0, 64)  # standard deviations that are tried, in pixels
SHIFTS = (-0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15)  # pixels by which the plain outline may lie elsewhere
FITTED = 3.0  # standard deviations of the blur below the blurred tip from which the fin is compared
MIN_FITTED = 4.0  # pixels
ABOVE = 4.0  # standard deviations above it to which they are
FLANK = 0.5  # of the fin's brightness at the lowest width that is compared: its flank
LOWEST_NOISE = 1e-3  # of the body's brightness
APART = 2  # samples between those that are compared: the noise of neighbours is one


class Fit(NamedTuple):
    """An outline without anything particular.

    Attributes:
        blur: Standard deviation of the step from body to ground, in pixels.
        shift: Where it lies, in pixels.
        step: Brightness of the body over the ground, signed.
        rise: By what share of it the body grows brighter with every pixel towards the ground, at the outline.
    """

    blur: float
    shift: float
    step: float
    rise: float


def fin_height(grey_HW: Plane, outline: Outline, at: float, out: float, height: float) -> float | None:
    """Measure a fin on the image.

    Args:
        grey_HW: The image.
        outline: That it stands out of.
        at: Direction of its crest from the outline's centre, in radians.
        out: 1 where out of the body means away from the centre, else -1.
        height: That its edges have, in pixels.

    Returns:
        Pixels; None where nothing beside it is plain, or the body does not differ from the ground.
    """
    reach = min(REACH, TURN * outline.radius)
    along_T = np.arange(-reach, reach, ALONG)
    offset_M = np.arange(-DEPTH, height + BEYOND, ACROSS)
    value_TM = levels_along(grey_HW, outline, at + along_T / outline.radius, out * offset_M)
    inside, outside = np.median(value_TM[:, offset_M < -4.0]), np.median(value_TM[:, offset_M > height + 5.0])
    if abs(inside - outside) < 1e-4:
        return None
    cover_TM = (value_TM - outside) / (inside - outside)
    foot_T = _foot(cover_TM[:, (offset_M > 2.0) & (offset_M < height + 6.0)], along_T)
    if (~foot_T).sum() * ALONG < PLAIN:
        return None
    plain_M = value_TM[~foot_T].mean(axis=0)
    fit = _fit_plain(plain_M, offset_M)
    if fit.step * (inside - outside) <= 0:
        return None
    alone_TM = (value_TM - plain_M) / fit.step
    calm_TM = np.asarray(cv2.GaussianBlur(value_TM - outside, (0, 0), 1.0)) / fit.step
    tip = _tip(np.asarray((calm_TM[foot_T] > 0.5).any(axis=0)), offset_M)
    if tip is None:
        return None
    column_T = np.flatnonzero(_flanks(alone_TM, foot_T, offset_M, tip, fit.blur))[::APART]
    row_M = np.flatnonzero((offset_M > tip - _below(fit.blur)) & (offset_M < tip + ABOVE * fit.blur))[::APART]
    patch = Patch(
        alone_TM[np.ix_(column_T, row_M)],
        along_T[column_T],
        offset_M[row_M] - fit.shift,
        fit.blur,
        tip,
        fit.rise,
        max(float((alone_TM[~foot_T] ** 2).mean()), LOWEST_NOISE**2),
    )
    return height_over_forms(patch)


def levels_along(grey_HW: Plane, outline: Outline, angle_T: Floats, offset_M: Floats) -> Floats:
    """Sample the image along an outline at distances from it, (T, M); whole numbers at pixel centres."""
    radius_TM = outline.at(angle_T)[:, None] + offset_M
    x = (outline.x + radius_TM * np.cos(angle_T)[:, None]).astype(np.float32)
    y = (outline.y + radius_TM * np.sin(angle_T)[:, None]).astype(np.float32)
    return cv2.remap(grey_HW, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float64)


def _foot(cover_TM: Floats, along_T: Floats) -> Mask:
    """Tell which places a fin takes, with what its blur reaches."""
    section_T = np.clip(np.asarray(cv2.GaussianBlur(cover_TM, (0, 0), 1.5)), 0, 1).sum(axis=1) * ACROSS
    far = section_T[np.abs(along_T) > 0.6 * np.abs(along_T).max()]
    usual = float(np.median(far))
    noise = 1.4826 * float(np.median(np.abs(far - usual)))
    near = np.flatnonzero(np.abs(along_T) < FOOT)
    crest = int(near[np.argmax(section_T[near])])
    threshold = usual + max(3 * noise, FADED * (section_T[crest] - usual))
    low, high = _run(section_T > threshold, crest)
    return _between(low - PAD / ALONG, high + PAD / ALONG, len(along_T))


def _tip(covered_M: Mask, offset_M: Floats) -> float | None:
    """Return how far the body goes on without a break; what lies apart is a speck, or noise."""
    bare = np.flatnonzero(~covered_M & (offset_M > 0))
    reached = offset_M[: bare[0]][covered_M[: bare[0]]] if len(bare) else offset_M[covered_M]
    return float(reached[-1]) if len(reached) else None


def _run(above_T: Mask, start: int) -> tuple[int, int]:
    """Return the places next to ``start`` on both sides that are not above any more."""
    below = np.flatnonzero(~above_T)
    lower, higher = below[below <= start], below[below >= start]
    return int(lower[-1]) if len(lower) else 0, int(higher[0]) if len(higher) else len(above_T) - 1


def _between(low: float, high: float, count: int) -> Mask:
    place = np.arange(count)
    return (place >= low) & (place <= high)


@cache
def _plain_steps() -> tuple[Floats, Floats, Floats]:
    """Return blur and shift of the steps that are tried, (P, 2), their terms (P, M, 3), and what solves for these."""
    offset_M = np.arange(-NEAR, NEAR + ACROSS / 2, ACROSS)
    tried = np.asarray([(blur, shift) for blur in BLURS for shift in SHIFTS])
    turned = (offset_M[None] - tried[:, 1:]) / (tried[:, :1] * math.sqrt(2))
    step = np.asarray([[0.5 * math.erfc(value) for value in row] for row in turned])
    terms = np.stack([np.ones_like(step), step, step * offset_M], axis=-1)
    return tried, terms, np.linalg.pinv(terms)


def _fit_plain(plain_M: Floats, offset_M: Floats) -> Fit:
    """Fit a blurred step, with a body that may be shaded towards its rim, to a plain outline."""
    tried, terms, inverse = _plain_steps()
    first = int(np.argmin(np.abs(offset_M + NEAR)))
    near_M = plain_M[first : first + terms.shape[1]]
    solved = inverse @ near_M
    away = ((terms @ solved[..., None])[..., 0] - near_M) ** 2
    best = int(np.argmin(away.sum(axis=1)))
    return Fit(
        float(tried[best, 0]), float(tried[best, 1]), float(solved[best, 1]), float(solved[best, 2] / solved[best, 1])
    )


def _below(blur: float) -> float:
    """Return how far below a blurred tip widths are compared."""
    return max(FITTED * blur, MIN_FITTED)


def _flanks(alone_TM: Floats, foot_T: Mask, offset_M: Floats, tip: float, blur: float) -> Mask:
    """Tell which places the tip takes, from the lowest width that is compared."""
    lowest = max(tip - _below(blur), 1.5 * blur)
    column_T = np.asarray(cv2.GaussianBlur(alone_TM, (0, 0), 1.0))[:, int(np.argmin(np.abs(offset_M - lowest)))]
    crest = int(np.argmax(np.where(foot_T, column_T, -np.inf)))
    low, high = _run(column_T > FLANK * column_T[crest], crest)
    pad = 2 * blur / ALONG
    return _between(low - pad, high + pad, len(column_T))
