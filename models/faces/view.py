"""An end face as it differs from itself: what a fiber looks like at a distance from its own axis, taken away.

That silences the borders of core and cladding, which any local filter would mark, where the zones are found on the
image. Where they are not, the image stays as it is.

Letters: H and W pixels, T distances from the axis, P pixels near it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.zones.masks import CLADDING, CORE, FERRULE, zone_map
from datamodules.zones.rays import along_rays

from .axis import SMALL_CORE, near_axis

if TYPE_CHECKING:
    from datamodules.zones.ellipse import Ellipse

Plane: TypeAlias = npt.NDArray[np.float32]
Mask: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.floating]

UNKNOWN_RADIUS = 1 / 6  # of the shorter side: a cladding's radius where none is found (real images: 144 of 864)
FEWEST_RAYS = 20  # that reach a distance before their median says what is usual there
FLOOR = 0.5  # grey levels: rounding to 8 bits leaves no zone quieter
FEWEST_PIXELS = 100  # of a zone before it has a scatter of its own ...
SMALLEST_ZONE = (
    0.04  # ... and of the cladding's area: one defect may fill a smaller zone, as the core of a single mode fiber
)
UNLIKE = 3.0  # times as restless as its cladding is a core at most (real ones: up to 1.9)
BAND = 0.3  # of its own radius on either side of an edge, that is near it at most: a core of 9 um is not all edge
OWN_RINGS = 0.6  # of the way from the core's edge to the cladding's, rings are at least partly the core's own
RESTLESS = 6.0  # times what an edge leaves at most of its pixels ...
PER_CENT = 75.0  # ... which are so many, is a thing of its own ...
MIN_SHARE, MAX_SHARE = 0.2, 0.45  # ... but no less and no more than these parts of the edge's step
SMALL_MAX_SHARE = 0.25  # likewise of a single mode core, which is even and has a sharp edge (drawn ones: 0.07)
SMOOTH = 0.8  # pixels of blur before that is asked
CLADDING_BORDER, CORE_BORDER = 1, 2
BORDER_ID = 10  # is added to the id of a zone near where it meets another


class FaceView(NamedTuple):
    """What the detectors of an end face look at.

    Attributes:
        flat_HW: Grey levels of 0 to 255, less what is usual at a pixel's distance from the axis.
        zone_HW: 1 core, 2 cladding, 3 ferrule; all 3 where no cladding was found.
        border_HW: Where zones meet: 1 about the cladding's edge, 2 about the core's, 0 elsewhere.
        radius: Of the cladding, in pixels: the unit of the detectors' lengths.
        faintest_HW: How far a thing by an edge differs from what is usual at least, in grey levels; 0 away from edges.
    """

    flat_HW: Plane
    zone_HW: npt.NDArray[np.uint8]
    border_HW: npt.NDArray[np.uint8]
    radius: float
    faintest_HW: Plane

    @property
    def inner_HW(self) -> Mask:  # noqa: N802 - a shape, not a word
        """False where zones meet: good faces have debris there, and so it does not count for scores."""
        away: Mask = self.border_HW == 0
        return away

    def labels(self) -> npt.NDArray[np.uint8]:
        """Return zones (H, W), and apart from them their borders: what is usual on one says nothing of the other."""
        apart_HW = np.where(self.border_HW == CORE_BORDER, 2 * BORDER_ID, self.zone_HW + BORDER_ID)
        return np.where(self.inner_HW, self.zone_HW, apart_HW).astype(np.uint8)


def view_face(grey_HW: Plane, cladding: Ellipse | None, core: Ellipse | None, border: float) -> FaceView:
    """Look at an end face.

    Args:
        grey_HW: In grey levels of 0 to 255.
        cladding: As found, in pixels whose (0, 0) is the outer corner of the image; None where it was not.
        core: Likewise.
        border: Of the cladding's radius, on both sides of where zones meet.
    """
    if cladding is None:
        plain = np.full(grey_HW.shape, FERRULE, dtype=np.uint8)
        nowhere = np.zeros(grey_HW.shape, np.uint8)
        radius = UNKNOWN_RADIUS * min(grey_HW.shape)
        return FaceView(grey_HW, plain, nowhere, radius, nowhere.astype(np.float32))
    height, width = grey_HW.shape
    x, y = np.arange(width)[None] + 0.5, np.arange(height)[:, None] + 0.5
    flat_HW = without_profile(grey_HW, cladding, core)
    left_HW = np.abs(cv2.GaussianBlur(flat_HW, (0, 0), SMOOTH))
    border_HW, faintest_HW = np.zeros(grey_HW.shape, dtype=np.uint8), np.zeros(grey_HW.shape, dtype=np.float32)
    for number, shape in ((CLADDING_BORDER, cladding), (CORE_BORDER, core)):
        if shape is not None:
            distance_HW = shape.distance(x, y)
            reach = min(border * cladding.radius, BAND * shape.radius)
            near_HW = np.abs(distance_HW - 1.0) * shape.radius <= reach
            border_HW[near_HW] = number
            most = SMALL_MAX_SHARE if shape.radius <= SMALL_CORE * cladding.radius else MAX_SHARE
            faintest_HW[near_HW] = _faintest(left_HW[near_HW], _step(grey_HW, distance_HW), most)
    zone_HW = zone_map(cladding, core, (height, width))
    return FaceView(flat_HW, zone_HW, border_HW, cladding.radius, faintest_HW)


def without_profile(grey_HW: Plane, cladding: Ellipse, core: Ellipse | None = None) -> Plane:
    """Take away from every pixel what is usual at its distance from the axis.

    That is the median along a ring; near the axis, where one defect may fill a ring, see ``axis.near_axis``.
    About the core, which never lies quite in the middle, rings are the core's own.

    Args:
        grey_HW: The image.
        cladding: In pixels whose (0, 0) is the outer corner of the image.
        core: Likewise; None: none is to be seen.
    """
    if core is None:
        return np.asarray(grey_HW - usual_about(grey_HW, cladding, None), dtype=np.float32)
    ratio = core.mean_radius / cladding.mean_radius
    usual_HW = usual_about(grey_HW, cladding, ratio)
    reach = 1.0 + OWN_RINGS * (1.0 / ratio - 1.0)  # in radii of the core
    rows, columns = _box(core, min(reach, 1.0 / ratio), (grey_HW.shape[0], grey_HW.shape[1]))
    if usual_HW[rows, columns].size:
        x, y = _centres(grey_HW.shape, rows, columns)
        share_hw = np.clip((reach - core.distance(x, y)) / (reach - 1.0) * 2.0, 0.0, 1.0)
        about = core._replace(radius=cladding.radius).moved(-columns.start, -rows.start)
        own_hw = usual_about(grey_HW[rows, columns], about, ratio)
        usual_HW[rows, columns] += share_hw * (own_hw - usual_HW[rows, columns])
    return np.asarray(grey_HW - usual_HW, dtype=np.float32)


def usual_about(grey_HW: Plane, shape: Ellipse, core: float | None) -> Floats:
    """Return what is usual at every pixel's distance from a centre, (H, W).

    Args:
        grey_HW: The image.
        shape: Its centre, and an ellipse of the cladding's radius.
        core: The core's radius in that of the cladding; None: none is to be seen.
    """
    x, y = _centres(grey_HW.shape, slice(0, grey_HW.shape[0]), slice(0, grey_HW.shape[1]))
    distance_HW = shape.distance(x, y)
    at_T = np.arange(0.0, float(distance_HW.max()) + 1.0 / shape.radius, 1.0 / shape.radius)
    value_AT, seen_AT = along_rays(grey_HW, shape.moved(-0.5, -0.5), at_T)
    reached_T = seen_AT.sum(axis=0) >= FEWEST_RAYS
    hidden_AT = np.where(seen_AT[:, reached_T] > 0, value_AT[:, reached_T], np.nan)
    usual_T = np.nanmedian(hidden_AT, axis=0) if reached_T.any() else np.array([float(np.median(grey_HW))])
    at_T = at_T[reached_T] if reached_T.any() else np.zeros(1)
    usual_T = near_axis(at_T, usual_T, distance_HW, grey_HW, core)
    return np.interp(distance_HW, at_T, usual_T)


def _box(shape: Ellipse, reach: float, size: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of an image (H, W) within ``reach`` radii of an ellipse's centre."""
    across, down = reach * shape.radius * shape.aspect * 1.02 + 2, reach * shape.radius * 1.02 + 2
    rows = slice(max(int(shape.cy - down), 0), max(min(int(shape.cy + down) + 1, size[0]), 0))
    return rows, slice(max(int(shape.cx - across), 0), max(min(int(shape.cx + across) + 1, size[1]), 0))


def _centres(size: tuple[int, ...], rows: slice, columns: slice) -> tuple[Floats, Floats]:
    """Return x (1, W) and y (H, 1) of the centres of some pixels of an image (H, W)."""
    x, y = np.arange(size[1], dtype=np.float32)[columns] + 0.5, np.arange(size[0], dtype=np.float32)[rows] + 0.5
    return x[None], y[:, None]


def _faintest(left_P: Plane, step: float, most: float) -> float:
    """Return how far a thing on an edge differs from what is usual at least, in grey levels.

    What the fit of an edge leaves all along it says how well it fits: several times as much is no part of the edge.

    Args:
        left_P: How far pixels by the edge are from what is usual; where a defect lies, too.
        step: Of brightness, at the edge.
        most: Share of the step that may be the edge's own.
    """
    usual = RESTLESS * float(np.percentile(left_P, PER_CENT)) if len(left_P) else 0.0
    return min(max(usual, MIN_SHARE * step), most * step)


def _step(grey_HW: Plane, distance_HW: Floats) -> float:
    """Return how much brightness differs between both sides of an edge at distance 1, in grey levels."""
    sides = [grey_HW[(distance_HW > low) & (distance_HW < high)] for low, high in ((0.75, 0.92), (1.08, 1.25))]
    return abs(float(np.median(sides[0])) - float(np.median(sides[1]))) if all(len(side) for side in sides) else 0.0


def standardised(response_HW: Plane, face: FaceView) -> Plane:
    """Return a response in robust standard deviations above the median of its zone, or of its zone's border.

    A zone that is too small to say what is usual on it is judged by what is usual on the cladding, and so is a core
    that is very unlike it: one defect may fill the most of a core.
    """
    result_HW: Plane = np.zeros_like(response_HW)
    label_HW = face.labels()
    fewest = max(FEWEST_PIXELS, SMALLEST_ZONE * np.pi * face.radius**2)
    instead = response_HW[label_HW == CLADDING]
    if len(instead) < fewest:
        instead = response_HW.ravel()
    elsewhere = spread_of(instead)
    for label in np.unique(label_HW):
        inside = label_HW == label
        sample = response_HW[inside]
        middle, scatter = spread_of(sample) if len(sample) >= fewest else elsewhere
        if label == CORE:
            middle, scatter = (
                min(own, UNLIKE * other) for own, other in zip((middle, scatter), elsewhere, strict=True)
            )
        result_HW[inside] = np.maximum((response_HW[inside] - middle) / scatter, 0.0)
    return result_HW


def spread_of(sample_P: Plane) -> tuple[float, float]:
    """Return the median and the robust standard deviation of a response, at least ``FLOOR``."""
    middle = float(np.median(sample_P))
    return middle, max(1.4826 * float(np.median(np.abs(sample_P - middle))), FLOOR)


def noise_of(face: FaceView) -> float:
    """Return the robust standard deviation of the quietest zone, in grey levels: no ground is quieter."""
    zones = [face.flat_HW[(face.zone_HW == zone) & face.inner_HW] for zone in range(CORE, FERRULE + 1)]
    scatters = [1.4826 * float(np.median(np.abs(one - np.median(one)))) for one in zones if len(one) >= FEWEST_PIXELS]
    return max(min(scatters, default=FLOOR), FLOOR)
