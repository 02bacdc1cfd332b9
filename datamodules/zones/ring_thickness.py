"""How thick a ring is all round, and what stands out from its outlines or is missing from them.

Letters: N rays, evenly turned.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .ring_edges import RAYS
from .ring_outline import local_noise, running_median, turned

if TYPE_CHECKING:
    from .ellipse import Floats
    from .ring_edges import Edges
    from .ring_outline import Outline

THINNER = 31  # rays, 7.75 degrees: a dent or flat is as long; what is shorter is a notch
THICKER = 241  # rays, 60 degrees: what stands out over less is flash, and no thickness of the body
SURE = 5.0  # standard deviations from which a change is one
MIN_CHANGE = 0.5  # pixels: smaller changes do not count
AROUND = 481  # rays, a third of a turn, over which medians waver alike
ALIKE = 6.0  # pixels along an outline over which noise is alike, where brightness is averaged along it


class Thickness(NamedTuple):
    """The thickness of a ring, in pixels.

    Attributes:
        profile_N: Ray by ray about the middle of both centres; fins and notches left out.
        mean: Outer minus inner mean radius.
        smallest: Smallest.
        largest: Largest.
        thinnest_at: Where the ring is thinnest, in degrees, counted from the right towards the bottom, 0 to 360.
        thickest_at: Where it is thickest.
    """

    profile_N: Floats
    mean: float
    smallest: float
    largest: float
    thinnest_at: float
    thickest_at: float


def measure_thickness(outer: Outline, inner: Outline, away_outer_N: Floats, away_inner_N: Floats) -> Thickness:
    """Measure between two outlines, with the changes that are longer than a fin.

    Args:
        outer: The outline.
        inner: The same of the hole.
        away_outer_N: By how much edges lie outside the outer outline; NaN where none shows.
        away_inner_N: The same of the hole.
    """
    angle_N = np.arange(RAYS) * (2 * math.pi / RAYS)
    x, y = (outer.x + inner.x) / 2, (outer.y + inner.y) / 2
    profile_N = reach(outer, x, y, angle_N) - reach(inner, x, y, angle_N)
    profile_N = profile_N + lasting(away_outer_N, outer.radius) + lasting(-away_inner_N, inner.radius)
    thin, thick = int(np.argmin(profile_N)), int(np.argmax(profile_N))
    return Thickness(
        profile_N=profile_N,
        mean=outer.radius - inner.radius,
        smallest=max(float(profile_N[thin]), 0.0),
        largest=float(profile_N[thick]),
        thinnest_at=360.0 * thin / RAYS,
        thickest_at=360.0 * thick / RAYS,
    )


def reach(outline: Outline, x: float, y: float, angle_N: Floats) -> Floats:
    """Return how far an outline is from a point near its centre, to second order of their distance."""
    dx, dy = outline.x - x, outline.y - y
    across = -dx * np.sin(angle_N) + dy * np.cos(angle_N)
    along = dx * np.cos(angle_N) + dy * np.sin(angle_N)
    turn_N = angle_N - across / outline.radius
    distance: Floats = outline.at(turn_N) + along - across**2 / (2 * outline.radius)
    return distance


def deviations(edges: Edges, outline: Outline) -> Floats:
    """Return by how much edges lie outside the outline, in pixels, (N,) in order of direction from its centre.

    NaN where no edge shows.
    """
    seen = turned(edges, outline.x, outline.y)
    away_N = seen.radius_N - outline.at(seen.angle_N)
    slot = np.rint(seen.angle_N / (2 * math.pi) * RAYS).astype(np.intp) % RAYS
    ordered = np.full(RAYS, np.nan)
    known = np.isfinite(away_N)
    ordered[slot[known]] = away_N[known]
    missed = np.isnan(ordered) & np.isfinite(np.roll(ordered, 1)) & np.isfinite(np.roll(ordered, -1))
    ordered[missed] = ((np.roll(ordered, 1) + np.roll(ordered, -1)) / 2)[missed]  # two rays fell into one slot
    return ordered


def lasting(grown_N: Floats, radius: float) -> Floats:
    """Return how much thicker a body is at an outline than its regular form, over more than a fin or notch; mostly 0.

    Args:
        grown_N: Deviations, positive where the body is larger; NaN where unknown.
        radius: Of the outline.
    """
    noise_N = local_noise(grown_N)
    thinner = np.minimum(_sure(grown_N, noise_N, THINNER, radius), 0.0)
    thicker = np.maximum(_sure(grown_N, noise_N, THICKER, radius), 0.0)
    return np.where(thinner < 0, thinner, thicker)


def _sure(grown_N: Floats, noise_N: Floats, window: int, radius: float) -> Floats:
    """Return medians over a window where they are more than noise, whose values are alike over some pixels."""
    independent = max(window * min(2 * math.pi * radius / RAYS / ALIKE, 1.0), 1.0)
    middle_N = np.nan_to_num(running_median(grown_N, window))
    slow_N = 1.4826 * np.nan_to_num(running_median(np.abs(middle_N), AROUND))  # as faint arcs waver
    noise_N = np.hypot(1.25 * noise_N / math.sqrt(independent), slow_N)
    return np.where(np.abs(middle_N) > np.maximum(SURE * noise_N, MIN_CHANGE), middle_N, 0.0)
