"""Where an end face shows something: both responses together, as a map, a score, and regions to be measured.

A place counts where a region stands out and a line through it does, too: grain of a ferrule rarely does both.

Letters: H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from .responses import line_response, region_response
from .view import SMOOTH

if TYPE_CHECKING:
    from .view import FaceView, Mask, Plane


class Filters(NamedTuple):
    """Sizes of DO2MR's and LEI's filters, in radii of the cladding (see ``Do2mr`` and ``Lei``).

    Attributes:
        window: Side of DO2MR's window.
        length: Of LEI's lines.
        apart: From a line to its sides.
        directions: Of the lines, over half a turn.
    """

    window: float = 0.0625
    length: float = 0.15
    apart: float = 0.028
    directions: int = 12


class Limits(NamedTuple):
    """Standard deviations of its zone that a pixel has to reach.

    Attributes:
        strong: By one of the responses, somewhere in a region.
        both: By both of them there.
        weak: By one of them, elsewhere in it.
    """

    strong: float = 12.0
    both: float = 5.0
    weak: float = 6.0


class Scoring(NamedTuple):
    """How pixels that stand out become the score of an image.

    Attributes:
        floor: Standard deviations from which a pixel counts.
        cap: Beyond the floor, from which it counts no more: one bright speck is not a hundred faint ones.
        inner: Weight of core and cladding, where good faces show structure of their own, against the ferrule's.
        zones: That count (1 core, 2 cladding, 3 ferrule).
    """

    floor: float = 6.0
    cap: float = 10.0
    inner: float = 0.25
    zones: tuple[int, ...] = (1, 2, 3)


def score_of(face: FaceView, map_HW: Plane, scoring: Scoring) -> float:
    """Return how much of a face stands out, and how far: an area in those of the cladding, so that no zoom matters.

    Where zones meet, nothing counts: good faces have debris there.
    """
    excess_HW = np.clip(map_HW - scoring.floor, 0.0, scoring.cap) * face.inner_HW
    weight_Z = np.array([0.0, scoring.inner, scoring.inner, 1.0]) * np.isin(np.arange(4), scoring.zones)
    by_zone_Z = np.bincount(face.zone_HW.ravel(), weights=excess_HW.ravel(), minlength=4)
    return float((by_zone_Z * weight_Z).sum() / (np.pi * face.radius**2))


def responses(face: FaceView, filters: Filters) -> tuple[Plane, Plane]:
    """Return the responses to regions and to lines, (H, W), in standard deviations of their zones."""
    regions = region_response(face, filters.window)
    return regions, line_response(face, filters.length, filters.apart, filters.directions)


def agreed(region_HW: Plane, line_HW: Plane) -> Plane:
    """Return how far both responses stand out: the smaller one."""
    smaller: Plane = np.minimum(region_HW, line_HW)
    return smaller


def marked(face: FaceView, region_HW: Plane, line_HW: Plane, limits: Limits) -> Mask:
    """Return where an end face shows something, (H, W): regions above the weak limit that reach the strong one.

    At the edge of core or cladding, where no fit is perfect, a part of the edge's own step is not a defect.
    """
    shown_HW = np.abs(cv2.GaussianBlur(face.flat_HW, (0, 0), SMOOTH)) >= face.faintest_HW
    larger_HW = np.maximum(region_HW, line_HW)
    strong_HW = (larger_HW >= limits.strong) & (agreed(region_HW, line_HW) >= limits.both)
    number, label_HW = cv2.connectedComponents(((larger_HW >= limits.weak) & shown_HW).astype(np.uint8), connectivity=8)
    passes_R = np.zeros(number, dtype=np.bool_)
    passes_R[label_HW[strong_HW & shown_HW]] = True
    passes_R[0] = False
    chosen: Mask = passes_R[label_HW]
    return chosen
