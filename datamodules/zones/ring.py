"""Rings on an image, and their geometry, to a fraction of a pixel: the way in is ``find_rings``.

A ring's background is found by Otsu's threshold, darker or lighter, lit evenly or from one side; its outlines by the
brightness along 1440 rays, and their regular form with Tukey's weights, so that a fin or a speck of dirt moves neither
centre nor radius. Several rings in an image are several parts, also where they touch.

Needs NumPy and OpenCV, and no torch. Lengths are in pixels of the image; whole numbers lie at pixel centres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .ring_edges import RAYS, Edges, Rough, find_edges, rough_outlines
from .ring_fins import Fin, find_fin
from .ring_gaps import Gap, find_gaps
from .ring_ground import find_ground, unframed
from .ring_outline import Outline, fit_outline, running_median
from .ring_pieces import find_pieces
from .ring_thickness import Thickness, deviations, measure_thickness, reach
from .view import to_grey

if TYPE_CHECKING:
    from datamodules.files.images import Array

    from .ellipse import Floats
    from .ring_edges import Side
    from .ring_ground import Ground, Mask
    from .ring_pieces import Piece

ALONG = 3.0  # pixels: brightness is averaged along an outline over so much
WALL = 12.0  # pixels beside a gap in which its walls round the outlines
MARGIN = 32  # pixels around a part that belong to its box
CALM = 5  # rays: of single edges the noise is not measured
SEEN = 0.9  # of a turn: where a first look shows less, a second is taken before the outlines are refined
NOISY = 4.0  # standard deviations of the edges: a length grows with every wiggle


class Box(NamedTuple):
    """A rectangle of whole pixels; the last row and column are excluded."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Ring:
    """One part of an image.

    Attributes:
        box: Where it lies, with a margin.
        outer: Its outline.
        inner: The same of its hole.
        thickness: All round.
        fin: What stands out furthest from an outline; None where nothing does.
        notch: The deepest dent or cut into an outline; None where there is none.
        gaps: Where it is cut through.
        circularity: 4 pi area / perimeter^2 of the outer outline with all that stands out of it; 1 for a circle.
        area: Of the body in square pixels.
        whole: It lies within the image.
        outer_edges: As found.
        inner_edges: The same.
        mask_hw: Its body in the small copy.
        shrink: Pixels of the small copy per pixel of the image.
        offset: Row and column of the small copy's origin in the image, where a black frame was left out.
    """

    box: Box
    outer: Outline
    inner: Outline
    thickness: Thickness
    fin: Fin | None
    notch: Fin | None
    gaps: tuple[Gap, ...]
    circularity: float
    area: float
    whole: bool
    outer_edges: Edges
    inner_edges: Edges
    mask_hw: Mask
    shrink: float
    offset: tuple[int, int]

    def measures(self) -> dict[str, float]:
        """Return what ``parts.csv`` says of it, in pixels."""
        diameter = self.outer.diameters()
        return {
            "outer_diameter": 2 * self.outer.radius,
            "inner_diameter": 2 * self.inner.radius,
            "centre_distance": math.hypot(self.outer.x - self.inner.x, self.outer.y - self.inner.y),
            "mean_thickness": self.thickness.mean,
            "min_thickness": self.thickness.smallest,
            "max_thickness": self.thickness.largest,
            "ovality": float(diameter.max() - diameter.min()),
            "flash": 0.0 if self.fin is None else self.fin.height,
            "gap": sum(gap.width for gap in self.gaps),
            "circularity": self.circularity,
            "area": self.area,
        }


@dataclass(frozen=True)
class Rings:
    """What was found on an image.

    Attributes:
        rings: Row by row from the top.
        strange: Pieces as large as parts that are not rings, such as one of which the image shows less than half.
    """

    rings: tuple[Ring, ...]
    strange: int


def find_rings(values: Array) -> Rings:
    """Find and measure the rings on an image (H, W) or (H, W, 3): uint8, uint16, or floats whose largest is white."""
    grey_HW = to_grey(values)
    rows, columns = unframed(grey_HW)
    view_HW = np.ascontiguousarray(grey_HW[rows, columns])
    ground = find_ground(view_HW)
    pieces, strange = find_pieces(ground.mask_hw)
    found = [_measured(view_HW, ground, piece, (rows.start, columns.start)) for piece in pieces]
    rings = tuple(ring for ring in found if ring is not None)
    return Rings(rings, strange + len(pieces) - len(rings))


def _measured(grey_HW: Floats, ground: Ground, piece: Piece, offset: tuple[int, int]) -> Ring | None:
    """Measure one piece; None where its outlines do not show."""
    rough = rough_outlines(piece, ground.shrink)
    edges_outer = find_edges(grey_HW, ground, rough, "outer")
    edges_inner = find_edges(grey_HW, ground, rough, "inner")
    first_outer, first_inner = fit_outline(edges_outer), fit_outline(edges_inner)
    if first_outer is None or first_inner is None or first_inner.radius >= first_outer.radius:
        return None
    if first_outer.radius > max(grey_HW.shape):  # a ring of which half a turn shows is not larger than its image
        return None
    first = (first_outer, first_inner)
    if min(first_outer.known, first_inner.known) < SEEN:  # the next looks at all directions, and may find more
        first = _refined(grey_HW, ground, first, "outer")[0], _refined(grey_HW, ground, first, "inner")[0]
    (outer, calm_outer), (inner, calm_inner) = (
        _refined(grey_HW, ground, first, "outer"),
        _refined(grey_HW, ground, first, "inner"),
    )
    away_outer, away_inner = deviations(edges_outer, outer), deviations(edges_inner, inner)
    gaps = find_gaps(grey_HW, ground, outer, inner)
    calm_outer, calm_inner = (
        _beside_gaps(_calm(away, calm), gaps, inner.radius)
        for away, calm in ((away_outer, calm_outer), (away_inner, calm_inner))
    )
    thickness = measure_thickness(outer, inner, calm_outer, calm_inner)
    body = _surrounded(outer, calm_outer) - _surrounded(inner, calm_inner)
    down, across = offset
    return Ring(
        box=_box(outer, away_outer, grey_HW.shape, offset),
        outer=outer._replace(x=outer.x + across, y=outer.y + down),
        inner=inner._replace(x=inner.x + across, y=inner.y + down),
        thickness=thickness,
        fin=find_fin(grey_HW, (outer, inner), (away_outer, away_inner), outward=True),
        notch=find_fin(grey_HW, (outer, inner), (away_outer, away_inner), outward=False),
        gaps=gaps,
        circularity=_circularity(outer, calm_outer),
        area=max(body - sum(gap.width for gap in gaps) * thickness.mean, 0.0),
        whole=_whole(outer, grey_HW.shape),
        outer_edges=edges_outer._replace(x=edges_outer.x + across, y=edges_outer.y + down),
        inner_edges=edges_inner._replace(x=edges_inner.x + across, y=edges_inner.y + down),
        mask_hw=piece.mask_hw,
        shrink=ground.shrink,
        offset=offset,
    )


def _refined(grey_HW: Floats, ground: Ground, first: tuple[Outline, Outline], side: Side) -> tuple[Outline, Floats]:
    """Find an outline again around its first fit, averaged along it; return it, and what deviates from it."""
    outer, inner = first
    one = outer if side == "outer" else inner
    at_N = np.arange(RAYS) * (2 * math.pi / RAYS)
    around = Rough(
        one.x,
        one.y,
        one.at(at_N) if side == "outer" else reach(outer, one.x, one.y, at_N),
        one.at(at_N) if side == "inner" else reach(inner, one.x, one.y, at_N),
    )
    edges = find_edges(grey_HW, ground, around, side, along=ALONG, rounds=3)
    refined = fit_outline(edges) or one
    return refined, deviations(edges, refined)


def _calm(away_N: Floats, calm_N: Floats) -> Floats:
    """Return the calmer deviations where they are known: a deep dent lies beyond what was looked at again."""
    return np.where(np.isfinite(calm_N), calm_N, away_N)


def _beside_gaps(away_N: Floats, gaps: tuple[Gap, ...], radius: float) -> Floats:
    """Leave out the rays through gaps and their walls: where the body ends it is not thin."""
    whole_N = away_N.copy()
    for gap in gaps:
        half = math.degrees((gap.width / 2 + WALL) / radius)
        whole_N[np.abs((np.arange(RAYS) * 360 / RAYS - gap.at + 180) % 360 - 180) <= half] = np.nan
    return whole_N


def _filled(outline: Outline, away_N: Floats) -> tuple[Floats, Floats]:
    """Return directions and radii of an outline with what deviates from it, calmed; the regular one where unknown."""
    angle_N = np.arange(RAYS) * (2 * math.pi / RAYS)
    return angle_N, outline.at(angle_N) + np.nan_to_num(running_median(away_N, CALM))


def _surrounded(outline: Outline, away_N: Floats) -> float:
    """Return the area that an outline surrounds, in square pixels."""
    _, radius_N = _filled(outline, away_N)
    return float(np.sum(radius_N**2)) * math.pi / RAYS


def _circularity(outline: Outline, away_N: Floats) -> float:
    """Return 4 pi area / perimeter^2 of an outline, with what stands out by more than the edges' noise."""
    angle_N, radius_N = _filled(outline, np.where(np.abs(away_N) > NOISY * max(outline.noise, 0.1), away_N, 0.0))
    x, y = radius_N * np.cos(angle_N), radius_N * np.sin(angle_N)
    around = float(np.hypot(np.diff(x, append=x[0]), np.diff(y, append=y[0])).sum())
    return min(4 * math.pi * (float(np.sum(radius_N**2)) * math.pi / RAYS) / around**2, 1.0)


def _box(outline: Outline, away_N: Floats, size: tuple[int, ...], offset: tuple[int, int]) -> Box:
    """Return the rectangle around a part, with a margin, within the image."""
    angle_N, radius_N = _filled(outline, away_N)
    x, y = outline.x + radius_N * np.cos(angle_N), outline.y + radius_N * np.sin(angle_N)
    down, across = offset
    return Box(
        max(math.floor(float(y.min())) - MARGIN, 0) + down,
        max(math.floor(float(x.min())) - MARGIN, 0) + across,
        min(math.ceil(float(y.max())) + MARGIN, size[0]) + down,
        min(math.ceil(float(x.max())) + MARGIN, size[1]) + across,
    )


def _whole(outline: Outline, size: tuple[int, ...]) -> bool:
    """Tell whether a part lies within its image."""
    reach = outline.radius - 1.0
    return min(outline.x, outline.y, size[1] - 1 - outline.x, size[0] - 1 - outline.y) >= reach
