"""End faces cut out of images about their axis, unwrapped or as a disc, and maps of such cuts laid back; NumPy alone.

Bundles hold this very file: what a checkpoint sees of a face, its bundle sees.

Letters: H and W height and width of an image, S side of a cut, all in pixels.
"""

from __future__ import annotations

import math
import sys
from functools import cache
from typing import Literal, NamedTuple, TypeAlias, get_args

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.zones.ellipse import Ellipse, Floats
from datamodules.zones.finding import find_zones

Plane: TypeAlias = npt.NDArray[np.float32]
Shape = Literal["polar", "disc"]
SHAPES: tuple[str, ...] = get_args(Shape)
UNKNOWN_RADIUS = 1 / 6  # of the shorter side: a cladding's radius where none is found, about the image's middle
WRAPPED = 1 / 8  # of an unwrapped cut's columns, on either side, that are seen twice and blended: there is no seam
RIM = 0.05  # of the radius, within the outermost ring judged, whose median colour stands for what lies beyond


class How(NamedTuple):
    """How faces are cut out.

    Attributes:
        shape: ``polar``: rows are distances from the axis, columns angles; ``disc``: upright, in square pixels.
        size: Side of a cut.
        inner: Distance from the axis, in radii of the cladding, from which on a face is judged.
        reach: The same, up to which.
    """

    shape: Shape
    size: int
    inner: float
    reach: float


class Cut(NamedTuple):
    """Where the pixels of a cut lie on an image, and those of the image on the cut.

    Attributes:
        x_SS: Column on the image; pixel centres are whole numbers.
        y_SS: Row on the image.
        column_HW: On the cut.
        row_HW: On the cut.
        seen_SS: Which pixels of the cut are judged.
        judged_HW: Which pixels of the image are.
        again_HW: Column where the cut shows the same once more; None: it shows everything once.
        weight_HW: What that counts, 0 to 1.
    """

    x_SS: Plane
    y_SS: Plane
    column_HW: Plane
    row_HW: Plane
    seen_SS: npt.NDArray[np.bool_]
    judged_HW: npt.NDArray[np.bool_]
    again_HW: Plane | None = None
    weight_HW: Plane | None = None

    def image(self, image_3HW: Plane) -> Plane:
        """Cut an image out, (3, S, S); beyond its border the border goes on, and what is not judged has one colour."""
        planes = [_sampled(plane, self.x_SS, self.y_SS, cv2.INTER_LINEAR) for plane in image_3HW]
        cut_3SS = np.stack(planes)
        if not self.seen_SS.all():
            rim_SS = self.seen_SS & (cv2.erode(self.seen_SS.astype(np.uint8), _square(len(self.seen_SS))) == 0)
            cut_3SS[:, ~self.seen_SS] = np.median(cut_3SS[:, rim_SS], axis=1, keepdims=True)
        return cut_3SS

    def ids(self, ids_HW: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Cut a mask or ids of zones out, (S, S); 0 where nothing is judged, and beyond the image."""
        cut_SS = cv2.remap(ids_HW, self.x_SS, self.y_SS, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
        return np.where(self.seen_SS, cut_SS, 0).astype(np.uint8)

    def back(self, map_SS: Plane) -> Plane:
        """Lay the map of a cut onto the image, (H, W); its lowest value stands where nothing is judged."""
        map_HW = _sampled(map_SS, self.column_HW, self.row_HW, cv2.INTER_LINEAR)
        if self.again_HW is not None and self.weight_HW is not None:
            again_HW = _sampled(map_SS, self.again_HW, self.row_HW, cv2.INTER_LINEAR)
            map_HW += self.weight_HW * (again_HW - map_HW)
        return np.where(self.judged_HW, map_HW, map_SS.min()).astype(np.float32)


def cut_face(image_3HW: Plane, how: How) -> Cut:
    """Find the face on an image (3, H, W) in [0, 1], and say how it is cut out.

    Where no cladding is found, one about the image's middle stands for it: whatever is seen there is not usual.
    """
    axis = _axis(image_3HW)
    column_HW, row_HW = np.meshgrid(*(np.arange(side, dtype=np.float64) for side in image_3HW.shape[:0:-1]))
    away_HW = axis.distance(column_HW, row_HW)
    judged_HW = (away_HW >= how.inner) & (away_HW <= how.reach)
    cut = _unwrap if how.shape == "polar" else _upright
    return cut(axis, how, column_HW, row_HW, judged_HW)


def _axis(image_3HW: Plane) -> Ellipse:
    """Find the cladding; whole numbers lie at pixel centres."""
    height, width = image_3HW.shape[1:]
    grey_HW = cv2.cvtColor(np.ascontiguousarray(image_3HW.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY)
    found = find_zones(np.rint(np.clip(grey_HW, 0, 1) * 255).astype(np.uint8)).cladding
    if found is None:
        _tell()
        return Ellipse((width - 1) / 2, (height - 1) / 2, min(height, width) * UNKNOWN_RADIUS)
    return found.moved(-0.5, -0.5)


def _unwrap(axis: Ellipse, how: How, column_HW: Floats, row_HW: Floats, judged_HW: npt.NDArray[np.bool_]) -> Cut:
    """Cut a face to rows of equal distance from its axis."""
    wrapped = int(how.size * WRAPPED)
    turn = how.size - 2 * wrapped
    edge_x, edge_y = axis.points(2 * math.pi * (np.arange(how.size) + 0.5 - wrapped) / turn)
    reach_S1 = (how.inner + (how.reach - how.inner) * (np.arange(how.size) + 0.5) / how.size)[:, None]
    u_HW, v_HW = (column_HW - axis.cx) / (axis.aspect * axis.radius), (row_HW - axis.cy) / axis.radius
    angle_HW = np.arctan2(v_HW, u_HW) % (2 * math.pi)
    away_HW = axis.distance(column_HW, row_HW)
    first_HW = wrapped + angle_HW / (2 * math.pi) * turn - 0.5
    again_HW = np.where(angle_HW < math.pi, first_HW + turn, first_HW - turn)
    from_rim, again_from_rim = (_from_rim(columns, how.size) for columns in (first_HW, again_HW))
    return Cut(
        _plane(axis.cx + reach_S1 * (edge_x - axis.cx)),
        _plane(axis.cy + reach_S1 * (edge_y - axis.cy)),
        _plane(first_HW),
        _plane((away_HW - how.inner) / (how.reach - how.inner) * how.size - 0.5),
        np.ones((how.size, how.size), np.bool_),
        judged_HW,
        _plane(again_HW),
        _plane(again_from_rim / (from_rim + again_from_rim)),
    )


def _from_rim(column_HW: Floats, size: int) -> Floats:
    """Return how far columns lie within a cut, in pixels; 0 outside, and never so far that two of them are 0."""
    away_HW: Floats = np.clip(np.minimum(column_HW + 0.5, size - 0.5 - column_HW), 0.0, None) + 1e-6
    return away_HW


def _upright(axis: Ellipse, how: How, column_HW: Floats, row_HW: Floats, judged_HW: npt.NDArray[np.bool_]) -> Cut:
    """Cut a face out as it stands, in square pixels."""
    side_S = how.reach * (2 * (np.arange(how.size) + 0.5) / how.size - 1)
    x_SS, y_SS = np.meshgrid(axis.cx + axis.aspect * axis.radius * side_S, axis.cy + axis.radius * side_S)
    away_SS = axis.distance(x_SS, y_SS)
    return Cut(
        _plane(x_SS),
        _plane(y_SS),
        _plane(_on_cut((column_HW - axis.cx) / (axis.aspect * axis.radius), how)),
        _plane(_on_cut((row_HW - axis.cy) / axis.radius, how)),
        (away_SS >= how.inner) & (away_SS <= how.reach),
        judged_HW,
    )


@cache
def _tell() -> None:
    """Say once what becomes of images without a face."""
    sys.stderr.write(
        "No cladding was found on an image: what lies about its middle is taken for the face (tiling=unwrapped and "
        "tiling=face are for end faces of fibers alone).\n"
    )


def _on_cut(away: Floats, how: How) -> Floats:
    """Return where a distance from the axis, in radii along an axis of the image, lies on an upright cut."""
    return (away / how.reach + 1) / 2 * how.size - 0.5


def _plane(values: Floats) -> Plane:
    return np.asarray(values, dtype=np.float32)


def _sampled(plane: Plane, x: Plane, y: Plane, how: int) -> Plane:
    return np.asarray(cv2.remap(np.ascontiguousarray(plane), x, y, how, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _square(side: int) -> npt.NDArray[np.uint8]:
    """Return what erodes the rim of an upright cut away."""
    reach = 2 * max(int(side * RIM / 2), 1) + 1
    return np.ones((reach, reach), np.uint8)
