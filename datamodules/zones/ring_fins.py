"""Fins and notches: what stands out of an outline, or is missing from it, measured on the image beside it.

Letters: N rays in order of direction from an outline's centre; T places along it, M samples across it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import cv2
import numpy as np

from .ring_outline import local_noise, running_median

if TYPE_CHECKING:
    from .ellipse import Floats, Plane
    from .ring_outline import Outline

SURE = 5.0  # standard deviations of the edges from which something stands out
LEAST = 1.5  # pixels: what is lower is not told from noise
ALONG = 0.5  # pixels between places at which a fin is measured
ACROSS = 0.5  # pixels between samples
FOOT = 12.0  # pixels along the outline to both sides of a fin that may belong to it
TIP = 3.0  # pixels: a lower fin has no tip of its own
MOST_LOST = 3.0  # pixels
SHARP, BLUNT = 20.0, 40.0  # pixels that a tip is wide, a little below its end: of a blunt one blur hides nothing
RIM = 1.5  # pixels: a rim of body that is thinner does not close a notch; as far along the outline it is looked for
RIM_COVER = 0.6  # of the body's brightness that a notch may show on its way: blur leaves some
MOST_SPECKS = 8  # that are passed over
WIDE = 6.0  # degrees to both sides that are looked at


class Fin(NamedTuple):
    """Something that stands out of an outline, or a notch in it.

    Attributes:
        height: Pixels from the outline.
        at: In degrees from the outer centre, counted from the right towards the bottom.
        side: Which outline.
    """

    height: float
    at: float
    side: Literal["outer", "inner"]


def find_fin(
    grey_HW: Plane,
    outlines: tuple[Outline, Outline],
    deviations: tuple[Floats, Floats],
    *,
    outward: bool,
) -> Fin | None:
    """Find what stands furthest out of the body, or is missing from it; None where nothing is.

    Args:
        grey_HW: The image.
        outlines: Outer and inner.
        deviations: Of their edges, see ``ring_thickness.deviations``.
        outward: Out of the body; else into it.
    """
    found = []
    for side, outline, away_N in zip(("outer", "inner"), outlines, deviations, strict=True):
        out = 1.0 if (side == "outer") == outward else -1.0
        peak = _peak(out * away_N) if outward else _deepest_open(grey_HW, outline, out, out * away_N)
        if peak is None:
            continue
        at, height = peak
        measured = _on_image(grey_HW, outline, at, out, height) if outward else height
        found.append(Fin(measured, math.degrees(at) % 360, "outer" if side == "outer" else "inner"))
    return max(found, key=lambda fin: fin.height, default=None)


def _deepest_open(grey_HW: Plane, outline: Outline, into: float, away_N: Floats) -> tuple[float, float] | None:
    """Return direction and depth of the deepest notch: a dark speck behind a rim of body is none."""
    left_N = away_N.copy()
    for _ in range(MOST_SPECKS):
        peak = _peak(left_N)
        if peak is None or _is_open(grey_HW, outline, into, *peak):
            return peak
        place = np.arange(len(left_N)) * (2 * math.pi / len(left_N))
        turned = np.abs((place - peak[0] + math.pi) % (2 * math.pi) - math.pi)
        left_N[turned * outline.radius < max(FOOT, peak[1])] = np.nan
    return None


def _is_open(grey_HW: Plane, outline: Outline, into: float, at: float, depth: float) -> bool:
    """Tell whether the ground goes on from the outline to the end of a notch."""
    angle_T = at + np.arange(-RIM, RIM + ALONG / 2, ALONG) / outline.radius
    levels = [_levels(grey_HW, outline, angle_T, into * offset_M) for offset_M in _beside(depth)]
    body, ground = float(np.median(levels[0])), float(np.median(levels[1]))
    if abs(body - ground) < 1e-4:
        return True
    cover_M = (levels[2].mean(axis=0) - ground) / (body - ground)
    return bool(cover_M.max() < RIM_COVER)


def _beside(depth: float) -> tuple[Floats, Floats, Floats]:
    """Return the places, in pixels into the body, of body behind a notch, of ground before it, and of the notch."""
    inside = np.arange(RIM, max(depth - RIM, RIM) + ACROSS / 2, ACROSS)
    return depth + np.arange(4.0, 8.0), -np.arange(4.0, 8.0), inside


def _levels(grey_HW: Plane, outline: Outline, angle_T: Floats, offset_M: Floats) -> Floats:
    """Sample the image along an outline at distances from it, (T, M); whole numbers at pixel centres."""
    radius_TM = outline.at(angle_T)[:, None] + offset_M
    x = (outline.x + radius_TM * np.cos(angle_T)[:, None]).astype(np.float32)
    y = (outline.y + radius_TM * np.sin(angle_T)[:, None]).astype(np.float32)
    return cv2.remap(grey_HW, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float64)


def _peak(away_N: Floats) -> tuple[float, float] | None:
    """Return direction and height of the highest deviation that is more than its neighbours' noise."""
    steady = running_median(away_N, 3)
    if not np.isfinite(steady).any():
        return None
    steady = np.where(steady > np.maximum(SURE * local_noise(away_N), LEAST), steady, -np.inf)
    at = int(np.nanargmax(steady))
    if steady[at] < LEAST:
        return None
    return at * 2 * math.pi / len(away_N), float(steady[at])


def _on_image(grey_HW: Plane, outline: Outline, at: float, out: float, height: float) -> float:
    """Measure a fin on the image: the highest place at which half of the body's brightness is left."""
    reach = min(math.radians(WIDE), max(40.0, 2 * height) / outline.radius)
    angle_T = at + np.arange(-reach, reach, ALONG / outline.radius)
    offset_M = np.arange(-8.0, height + 12.0, ACROSS)
    value_TM = np.asarray(cv2.GaussianBlur(_levels(grey_HW, outline, angle_T, out * offset_M), (0, 0), 1.0))
    inside = float(np.median(value_TM[:, offset_M < -4.0]))
    outside = float(np.median(value_TM[:, offset_M > height + 5.0]))
    if abs(inside - outside) < 1e-4:
        return height
    cover_TM = (value_TM - outside) / (inside - outside)
    above = cover_TM > 0.5
    first_below = np.where((~above).any(axis=1), np.argmin(above, axis=1), 0)
    place = np.arange(len(angle_T))
    before = np.maximum(first_below - 1, 0)
    high, low = cover_TM[place, before], cover_TM[place, first_below]
    with np.errstate(all="ignore"):
        edge_T: Floats = offset_M[before] + np.clip((high - 0.5) / (high - low), 0, 1) * ACROSS
    near = np.abs(angle_T - at) * outline.radius < max(FOOT, height)
    calm_T = _calmed(edge_T[near])
    edge, peak = float(np.max(calm_T)), int(place[near][int(np.argmax(calm_T))])
    measured = edge + _lost(cover_TM, offset_M, edge, peak)
    return measured if measured > 0.6 * height else height


def _calmed(edge_T: Floats) -> Floats:
    """Average an outline along a wide fin, where the highest single place is the noise's."""
    wide = int((edge_T > 0.7 * edge_T.max()).sum()) // 10
    if wide < 3:
        return edge_T
    calm: Floats = np.convolve(np.pad(edge_T, wide // 2, mode="edge"), np.ones(wide) / wide, mode="same")
    return calm[wide // 2 : wide // 2 + len(edge_T)]


def _lost(cover_TM: Floats, offset_M: Floats, edge: float, peak: int) -> float:
    """Return what blur hides of a tip: from half of the body's brightness on, the fin narrows as it did before.

    A blunt tip is a parabola: the square of its width falls evenly, to 0 at its very end.
    """
    half = round(2 * FOOT / ALONG)
    width_M = np.clip(cover_TM[max(peak - half, 0) : peak + half + 1], 0, 1).sum(axis=0) * ALONG
    below = (offset_M > edge - 4.0) & (offset_M <= edge + ACROSS)
    if edge < TIP or below.sum() < 5:
        return 0.0
    level, slope = np.polynomial.polynomial.polyfit(offset_M[below] - edge, width_M[below] ** 2, 1)
    wide = float(width_M[offset_M <= edge - TIP][-1])
    share = min(max((BLUNT - wide) / (BLUNT - SHARP), 0.0), 1.0)
    return share * min(max(level, 0.0) / -slope, MOST_LOST) if slope < 0 else 0.0
