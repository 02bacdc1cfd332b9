"""Where a ring is cut through: along its circles, the ground shows at every radius.

Letters: R radii between the outlines, T places along a turn.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from .ellipse import Floats, Plane
    from .ring_ground import Ground
    from .ring_outline import Outline

RADII = 9
STEP = 0.5  # pixels along the turn, at the middle of the body
SLANTS = (0.0, 20.0, -20.0, 40.0, -40.0)  # degrees against the radius: few cuts are straight
SMOOTH = 1.0  # pixels along the turn
DEPTH = 0.4  # of the way from body to ground that the middle of a cut goes, at least
SURE = 6.0  # standard deviations above what the body varies by
NARROWEST = 1.5  # pixels: what is narrower is not told from glare
BODY = 1 / 6  # of a turn, over which the body's brightness is the median


class Gap(NamedTuple):
    """A cut.

    Attributes:
        width: In pixels, across the cut.
        at: In degrees from the outer centre, counted from the right towards the bottom.
    """

    width: float
    at: float


def find_gaps(grey_HW: Plane, ground: Ground, outer: Outline, inner: Outline) -> tuple[Gap, ...]:
    """Find where a ring is cut through, in order of direction."""
    middle = (outer.radius + inner.radius) / 2
    count = max(int(2 * math.pi * middle / STEP), 64)
    angle_T = np.arange(count) * (2 * math.pi / count)
    share_R = np.linspace(0.2, 0.8, RADII)
    bare_RT = _bareness(grey_HW, ground, outer, inner, angle_T, share_R)
    if bare_RT is None:
        return ()
    height_R = (share_R - 0.5) * (outer.radius - inner.radius)
    best: tuple[Gap, ...] = ()
    for slant in SLANTS:
        shift_R = np.rint(height_R * math.tan(math.radians(slant)) / STEP).astype(int)
        aligned = np.stack([np.roll(row, -shift) for row, shift in zip(bare_RT, shift_R, strict=True)])
        found = _cuts(aligned, math.cos(math.radians(slant)))
        if len(found) > len(best):
            best = found
    return best


def _bareness(
    grey_HW: Plane, ground: Ground, outer: Outline, inner: Outline, angle_T: Floats, share_R: Floats
) -> Floats | None:
    """Return (R, T) how much of the ground shows: 0 body, 1 ground; None where they do not differ."""
    x, y = (outer.x + inner.x) / 2, (outer.y + inner.y) / 2
    reach = inner.at(angle_T)[None] * (1 - share_R[:, None]) + outer.at(angle_T)[None] * share_R[:, None]
    at_x, at_y = (x + reach * np.cos(angle_T)).astype(np.float32), (y + reach * np.sin(angle_T)).astype(np.float32)
    value = cv2.remap(grey_HW, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float64)
    height, width = ground.level_hw.shape
    row = np.clip((at_y + 0.5) * ground.shrink - 0.5, 0, height - 1).astype(np.intp)
    column = np.clip((at_x + 0.5) * ground.shrink - 0.5, 0, width - 1).astype(np.intp)
    level = ground.level_hw[row, column]
    body = _slow_median(value - level)
    usual = float(np.median(np.abs(body)))
    if usual < 1e-4:
        return None
    bare: Floats = 1.0 - (value - level) / np.where(np.abs(body) < 0.2 * usual, np.sign(body + 1e-12) * usual, body)
    return bare


def _slow_median(value_RT: Floats) -> Floats:
    """Return the median over a part of a turn, radius by radius, from every eighth place."""
    coarse = value_RT[:, ::8]
    window = max(int(coarse.shape[1] * BODY) // 2 * 2 + 1, 3)
    turned = np.concatenate([coarse[:, -(window // 2) :], coarse, coarse[:, : window // 2]], axis=1)
    step = max(1, window // 60)  # 60 values are enough for a median
    windows = np.lib.stride_tricks.sliding_window_view(turned, window, axis=1)[:, ::4, ::step]
    middle = np.median(windows, axis=2)
    place = np.arange(value_RT.shape[1]) / 32
    return np.stack([np.interp(place, np.arange(middle.shape[1]), row, period=middle.shape[1]) for row in middle])


def _cuts(bare_RT: Floats, cosine: float) -> tuple[Gap, ...]:
    """Find cuts that run straight through the rows, and measure them."""
    bare_T = np.median(bare_RT, axis=0)
    smooth_T = _smoothed(bare_T)
    noise = 1.4826 * float(np.median(np.abs(smooth_T - np.median(smooth_T))))
    deep = max(DEPTH, SURE * noise)
    if deep > 1.0 or not (smooth_T > deep).any():
        return ()
    turn = len(bare_T)
    start = int(np.argmin(smooth_T))  # begin on the body
    bare_T, smooth_T, rows = np.roll(bare_T, -start), np.roll(smooth_T, -start), np.roll(bare_RT, -start, axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (smooth_T > deep).astype(np.int8), [0]])))
    found = []
    for first, last in zip(edges[0::2], edges[1::2], strict=True):
        low, high = _flanks(smooth_T, int(first), int(last), 2 * noise)
        within = rows[:, low:high]
        if np.quantile(within.max(axis=1), 0.2) < deep:  # at some radius the body goes on
            continue
        width = float(np.median(np.clip(within, -0.5, 1.5).sum(axis=1))) * STEP * cosine
        if width >= NARROWEST:
            found.append(Gap(width, 360.0 * ((start + (low + high) / 2) % turn) / turn))
    return tuple(sorted(set(found), key=lambda gap: gap.at))


def _flanks(smooth_T: Floats, first: int, last: int, level: float) -> tuple[int, int]:
    """Go on to both sides until the body is whole again."""
    while first > 0 and smooth_T[first] > level:
        first -= 1
    while last < len(smooth_T) and smooth_T[last - 1] > level:
        last += 1
    return max(first - 1, 0), min(last + 1, len(smooth_T))


def _smoothed(value_T: Floats) -> Floats:
    half = int(4 * SMOOTH / STEP)
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) * STEP / SMOOTH) ** 2)
    turned = np.concatenate([value_T[-half:], value_T, value_T[:half]])
    smooth: Floats = np.convolve(turned, kernel / kernel.sum(), mode="valid")
    return smooth
