"""Where a ring is cut through: along its circles, the ground shows at every radius, from one outline to the other.

Letters: R radii between the outlines, T places along a turn.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from .ring_gap_width import Places, cut_width

if TYPE_CHECKING:
    from .ellipse import Floats, Plane
    from .ring_ground import Ground
    from .ring_outline import Outline

RADII = 9
FOLDS = 16  # of a turn: OpenCV takes no more than 32,766 places in a row
STEP = 0.5  # pixels along the turn, at the middle of the body
SLANTS = (0.0, 20.0, -20.0, 40.0, -40.0)  # degrees against the radius: few cuts are straight
SMOOTH = 1.0  # pixels along the turn
DEPTH = 0.4  # of the way from body to ground that the middle of a cut goes, at least
SURE = 6.0  # standard deviations above what the body varies by
NARROWEST = 1.5  # pixels: what is narrower is not told from glare
RIM = np.asarray([5.0, 6.0, 7.0])  # pixels from an outline: a rim of body that is thicker closes what is not a cut
MOST_RIM = 0.2  # of the thickness
OPEN = 0.5  # of what shows of the ground in a cut's middle must show in its rims
RAGGED = 0.1  # of the thickness by which a rim's opening may lie beside the cut's
BESIDE = 20.0  # pixels of body to both sides of a cut that are looked at
APART = 2  # steps along a turn, between places that are compared: the noise of neighbours is one
MOST_PLACES = 160  # of a circle that are compared
BODY = 1 / 6  # of a turn, over which the body's brightness is the median


class Gap(NamedTuple):
    """A cut.

    Attributes:
        width: In pixels, across the cut.
        at: In degrees from the outer centre, counted from the right towards the bottom.
    """

    width: float
    at: float


class Cut(NamedTuple):
    """A cut, roughly.

    Attributes:
        middle: Its place along the turn, in steps.
        length: Pixels along the turn until the body is whole again.
        area_width: Width by how much of the ground shows in all.
        slant: Of its walls against the radius, in degrees, roughly.
    """

    middle: float
    length: float
    area_width: float
    slant: float


class Turn(NamedTuple):
    """What a ring shows of its ground, along circles.

    Attributes:
        bare_RT: 0 body, 1 ground.
        rim_RT: The same, of both rims: the mean of some circles along the inner outline, and along the outer.
        height_R: Of the circles above the middle of the body, in pixels.
        rim_height_R: Of the rims.
        radius: Of the middle of the body.
    """

    bare_RT: Floats
    rim_RT: Floats
    height_R: Floats
    rim_height_R: Floats
    radius: float

    def aligned(self, slant: float) -> Turn:
        """Shift the circles so that a cut with this slant, in degrees, is at one place on all."""
        bare_RT = _shifted(self.bare_RT, self.height_R, slant)
        return self._replace(bare_RT=bare_RT, rim_RT=_shifted(self.rim_RT, self.rim_height_R, slant))


def _shifted(value_RT: Floats, height_R: Floats, slant: float) -> Floats:
    shift_R = np.rint(height_R * math.tan(math.radians(slant)) / STEP).astype(int)
    return np.stack([np.roll(row, -shift) for row, shift in zip(value_RT, shift_R, strict=True)])


def find_gaps(grey_HW: Plane, ground: Ground, outer: Outline, inner: Outline) -> tuple[Gap, ...]:
    """Find where a ring is cut through, in order of direction; a hole that leaves rims of body is not a cut."""
    turn = _search_around(grey_HW, ground, outer, inner)
    if turn is None:
        return ()
    best = max((_cuts(turn, slant) for slant in SLANTS), key=len)  # of equal ones the straightest
    gaps = [_measured(turn, cut) for cut in best]
    return tuple(sorted((gap for gap in gaps if gap.width >= NARROWEST), key=lambda gap: gap.at))


def _search_around(grey_HW: Plane, ground: Ground, outer: Outline, inner: Outline) -> Turn | None:
    """Look along circles between the outlines; None where body and ground do not differ."""
    middle, thick = (outer.radius + inner.radius) / 2, outer.radius - inner.radius
    count = max(int(2 * math.pi * middle / STEP / FOLDS), 4) * FOLDS
    angle_T = np.arange(count) * (2 * math.pi / count)
    rim_R = np.minimum(RIM / thick, MOST_RIM)
    share_R = np.concatenate([np.linspace(0.2, 0.8, RADII), rim_R, 1.0 - rim_R])
    bare_RT = _bareness(grey_HW, ground, outer, inner, angle_T, share_R)
    if bare_RT is None:
        return None
    rim_RT = bare_RT[RADII:].reshape(2, len(RIM), -1).mean(axis=1)
    height_R = (share_R - 0.5) * thick
    return Turn(bare_RT[:RADII], rim_RT, height_R[:RADII], height_R[RADII:].reshape(2, -1).mean(axis=1), middle)


def _bareness(
    grey_HW: Plane, ground: Ground, outer: Outline, inner: Outline, angle_T: Floats, share_R: Floats
) -> Floats | None:
    """Return (R, T) how much of the ground shows: 0 body, 1 ground; None where they do not differ."""
    x, y = (outer.x + inner.x) / 2, (outer.y + inner.y) / 2
    reach = inner.at(angle_T)[None] * (1 - share_R[:, None]) + outer.at(angle_T)[None] * share_R[:, None]
    at_x, at_y = (x + reach * np.cos(angle_T)).astype(np.float32), (y + reach * np.sin(angle_T)).astype(np.float32)
    folded = at_x.reshape(-1, at_x.shape[1] // FOLDS), at_y.reshape(-1, at_y.shape[1] // FOLDS)
    value = cv2.remap(grey_HW, *folded, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float64)
    value = value.reshape(at_x.shape)
    height, width = ground.level_hw.shape
    row = np.clip((at_y + 0.5) * ground.shrink - 0.5, 0, height - 1).astype(np.intp)
    column = np.clip((at_x + 0.5) * ground.shrink - 0.5, 0, width - 1).astype(np.intp)
    level = ground.level_hw[row, column]
    body = _slow_median(value - level)
    usual = float(np.median(np.abs(body)))
    if usual < 1e-4:
        return None
    bare: Floats = 1.0 - (value - level) / np.where(np.abs(body) < 0.2 * usual, np.sign(body + 1e-12) * usual, body)
    bottom, right = grey_HW.shape[0] - 1, grey_HW.shape[1] - 1
    bare[(at_x < 0) | (at_y < 0) | (at_x > right) | (at_y > bottom)] = 0.0  # what the image does not show is no cut
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


def _cuts(turn: Turn, slant: float) -> set[Cut]:
    """Find cuts that run through the circles with a slant, in degrees."""
    aligned = turn.aligned(slant)
    smooth_T = _smoothed(np.median(aligned.bare_RT, axis=0))
    noise = 1.4826 * float(np.median(np.abs(smooth_T - np.median(smooth_T))))
    deep = max(DEPTH, SURE * noise)
    if deep > 1.0 or not (smooth_T > deep).any():
        return set()
    start = int(np.argmin(smooth_T))  # begin on the body
    smooth_T, rows, rims = (np.roll(one, -start, axis=-1) for one in (smooth_T, aligned.bare_RT, aligned.rim_RT))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (smooth_T > deep).astype(np.int8), [0]])))
    found = set[Cut]()
    for first, last in zip(edges[0::2], edges[1::2], strict=True):
        low, high = _flanks(smooth_T, int(first), int(last), 2 * noise)
        within = rows[:, low:high]
        if np.quantile(within.max(axis=1), 0.2) < deep:  # at some radius the body goes on
            continue
        if not _is_open(rims, (low, high), float(smooth_T[low:high].max()), turn):
            continue
        area_width = float(np.median(np.clip(within, -0.5, 1.5).sum(axis=1))) * STEP * math.cos(math.radians(slant))
        found.add(Cut(start + (low + high) / 2, (high - low) * STEP, area_width, slant))
    return found


def _measured(turn: Turn, cut: Cut) -> Gap:
    count = turn.bare_RT.shape[1]
    width = cut_width(_places(turn, cut), cut.area_width, math.radians(cut.slant))
    return Gap(width, 360.0 * (cut.middle % count) / count)


def _is_open(rim_RT: Floats, run: tuple[int, int], deepest: float, turn: Turn) -> bool:
    """Tell whether the ground shows through both rims, where a cut is."""
    pad = math.ceil(RAGGED * float(np.ptp(turn.rim_height_R)) / STEP)
    low, high = max(run[0] - pad, 0), run[1] + pad
    return all(float(_smoothed(row)[low:high].max()) >= OPEN * deepest for row in rim_RT)


def _places(turn: Turn, cut: Cut) -> Places:
    """Collect what the circles show around a cut, and of the body beside it."""
    count = turn.bare_RT.shape[1]
    lean = float(np.abs(turn.height_R).max()) * math.tan(math.radians(abs(cut.slant)))
    reach = round((cut.length / 2 + lean + BESIDE) / STEP)
    step = max(APART, math.ceil(2 * reach / MOST_PLACES))
    place = np.arange(round(cut.middle) - reach, round(cut.middle) + reach + 1, step)
    angle = (place - cut.middle) * (2 * math.pi / count)
    radius_R1 = (turn.radius + turn.height_R)[:, None]
    return Places(
        (radius_R1 * np.sin(angle)).ravel(),
        (radius_R1 * np.cos(angle) - turn.radius).ravel(),
        turn.bare_RT[:, place % count].ravel(),
    )


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
