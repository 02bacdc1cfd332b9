"""Fins and notches: what stands out of an outline, or is missing from it, measured on the image beside it.

Letters: N rays in order of direction from an outline's centre; T places along it, M samples across it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from .ring_fin_height import fin_height, levels_along
from .ring_outline import local_noise, running_median

if TYPE_CHECKING:
    from .ellipse import Floats, Plane
    from .ring_outline import Outline

SURE = 5.0  # standard deviations of the edges from which something stands out
MIN_HEIGHT = 1.5  # pixels: what is lower is not told from noise
ALONG = 0.5  # pixels between places at which a notch is looked at
ACROSS = 0.5  # pixels between samples
FOOT = 12.0  # pixels along the outline to both sides of a fin that may belong to it
SAME = 0.6  # of its edges' height: a fin that the image shows to be lower is something else
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
        measured = fin_height(grey_HW, outline, at, out, height) if outward else None
        found.append(Fin(_trusted(measured, height), math.degrees(at) % 360, "outer" if side == "outer" else "inner"))
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
    levels = [levels_along(grey_HW, outline, angle_T, into * offset_M) for offset_M in _beside(depth)]
    body, ground = float(np.median(levels[0])), float(np.median(levels[1]))
    if abs(body - ground) < 1e-4:
        return True
    cover_M = (levels[2].mean(axis=0) - ground) / (body - ground)
    return bool(cover_M.max() < RIM_COVER)


def _beside(depth: float) -> tuple[Floats, Floats, Floats]:
    """Return the places, in pixels into the body, of body behind a notch, of ground before it, and of the notch."""
    inside = np.arange(RIM, max(depth - RIM, RIM) + ACROSS / 2, ACROSS)
    return depth + np.arange(4.0, 8.0), -np.arange(4.0, 8.0), inside


def _trusted(measured: float | None, height: float) -> float:
    """Take what the image says of a fin, unless it says that there is hardly any."""
    return height if measured is None or measured < SAME * height else measured


def _peak(away_N: Floats) -> tuple[float, float] | None:
    """Return direction and height of the highest deviation that is more than its neighbours' noise."""
    steady = running_median(away_N, 3)
    if not np.isfinite(steady).any():
        return None
    steady = np.where(steady > np.maximum(SURE * local_noise(away_N), MIN_HEIGHT), steady, -np.inf)
    at = int(np.nanargmax(steady))
    if steady[at] < MIN_HEIGHT:
        return None
    return at * 2 * math.pi / len(away_N), float(steady[at])
