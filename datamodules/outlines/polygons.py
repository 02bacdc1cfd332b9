"""Outlines as polygons: fill them to masks as COCO does, clip them to a rectangle, measure them.

Letters: P points of a ring, E its edges, T points of its trace, H and W height and width in pixels. A point is x, y in
pixels, where the pixel in row 0 and column 0 covers [0, 1) x [0, 1): the convention of COCO and labelme.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Points: TypeAlias = npt.NDArray[np.float64]  # (P, 2)
Mask: TypeAlias = npt.NDArray[np.bool_]  # (H, W)

_FINER = 5  # COCO fills on a grid five times finer than the pixels


class OutlineError(ValueError):
    """One outline of a file cannot be used; the message continues "outline 3 ...".

    Attributes:
        remedy: What to do about it.
    """

    def __init__(self, message: str, remedy: str = "mend or delete it") -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True, eq=False)
class Outline:
    """One outlined object.

    Attributes:
        rings: Closed rings of at least three points; most objects have one, one that a tile cuts in two has two.
        label: What it is called; empty where the file does not say.
        boxed: Only a box around it is known, whose corners the one ring holds: a label, but no outline.
    """

    rings: tuple[Points, ...]
    label: str = ""
    boxed: bool = False

    def moved(self, x: float, y: float) -> Outline:
        """Return this outline, shifted."""
        return replace(self, rings=tuple(ring + np.array((x, y)) for ring in self.rings))


@dataclass(frozen=True)
class Box:
    """The smallest rectangle of whole pixels around a mask: its first column and row, and one past its last."""

    x1: int
    y1: int
    x2: int
    y2: int


def fill(rings: Sequence[Points], height: int, width: int) -> Mask:
    """Fill rings to a mask (H, W), their union, to the pixel as the COCO API does.

    Every tool that reads COCO files measures areas and overlaps on this very mask (``rleFrPoly`` of the COCO API; Lin
    et al., "Microsoft COCO", ECCV 2014): each ring is traced on a grid five times finer, and a column of pixels changes
    between outside and inside wherever the trace crosses its middle.
    """
    mask = np.zeros((height, width), dtype=np.bool_)
    for ring in rings:
        u_T, v_T = _trace(ring)
        crosses = u_T[1:] != u_T[:-1]
        column_T = (np.minimum(u_T[1:], u_T[:-1])[crosses] + 0.5) / _FINER - 0.5
        row_T = np.ceil(np.clip((np.minimum(v_T[1:], v_T[:-1])[crosses] + 0.5) / _FINER - 0.5, 0, height))
        hit = (column_T == np.floor(column_T)) & (column_T >= 0) & (column_T < width)
        column_T, row_T = column_T[hit].astype(np.intp), row_T[hit].astype(np.intp)
        if not len(column_T):
            continue
        first, last = column_T.min(), column_T.max()
        flips = np.zeros((last - first + 1) * height + 1, dtype=np.uint8)
        np.add.at(flips, (column_T - first) * height + row_T, 1)
        inside = np.cumsum(flips[:-1], dtype=np.uint8) & 1  # 256 is even: an overflow does no harm
        mask[:, first : last + 1] |= cv2.transpose(inside.reshape(-1, height)).astype(np.bool_)
    return mask


def _trace(ring: Points) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Trace a closed ring point by point on the finer grid; return the columns and the rows of the trace."""
    start_E2 = (ring * _FINER + 0.5).astype(np.int64)
    end_E2 = np.roll(start_E2, -1, axis=0)
    steps_E2 = np.abs(end_E2 - start_E2)
    flat_E = steps_E2[:, 0] >= steps_E2[:, 1]
    steps_E = steps_E2.max(axis=1)
    main_E = np.where(flat_E, 0, 1)
    edge_E = np.arange(len(ring))
    back_E = start_E2[edge_E, main_E] > end_E2[edge_E, main_E]
    low_E2, high_E2 = (np.where(back_E[:, None], b, a) for a, b in ((start_E2, end_E2), (end_E2, start_E2)))
    rise_E = (high_E2 - low_E2)[edge_E, 1 - main_E] / np.maximum(steps_E, 1)
    edge_T = np.repeat(edge_E, steps_E + 1)
    step_T = np.arange(len(edge_T)) - np.repeat(np.cumsum(steps_E + 1) - steps_E - 1, steps_E + 1)
    step_T = np.where(back_E[edge_T], steps_E[edge_T] - step_T, step_T)
    along_T = low_E2[edge_T, main_E[edge_T]] + step_T
    across_T = (low_E2[edge_T, 1 - main_E[edge_T]] + rise_E[edge_T] * step_T + 0.5).astype(np.int64)
    flat_T = flat_E[edge_T]
    return np.where(flat_T, along_T, across_T), np.where(flat_T, across_T, along_T)


def bounding_box(mask: Mask) -> Box | None:
    """Return the box of a mask (H, W), or None where it is empty."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return None
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def signed_area(ring: Points) -> float:
    """Return the area of a ring in square pixels (shoelace formula); its sign tells the direction."""
    x, y = (ring - ring[0]).T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def clip(outline: Outline, width: float, height: float) -> Outline | None:
    """Clip an outline to the rectangle from (0, 0) to (width, height).

    A ring that leaves the rectangle and comes back becomes several; points within it are kept exactly.

    Returns:
        The clipped outline, or None where nothing of it lies within.
    """
    rings = [
        part
        for ring in outline.rings
        for left in _above(ring, 0, 0.0)
        for top in _above(left, 1, 0.0)
        for right in _below(top, 0, width)
        for part in _below(right, 1, height)
    ]
    return replace(outline, rings=tuple(rings)) if rings else None


def _below(ring: Points, axis: int, limit: float) -> list[Points]:
    return [-part for part in _above(-ring, axis, -limit)]


def _above(ring: Points, axis: int, limit: float) -> list[Points]:
    """Clip a ring to the half plane where the coordinate ``axis`` is at least ``limit``.

    The pieces of the ring within the half plane end on its border. Sorted along the border, their ends bound the inside
    in pairs, so each end is joined to its partner, until all pieces are closed rings again.
    """
    height_P = ring[:, axis] - limit
    if (height_P >= 0).all():
        return [ring]
    inside_P = height_P > 0
    pieces = _pieces(ring, height_P, inside_P, axis, limit)
    ends = sorted((float(piece[end, 1 - axis]), index, end) for index, piece in enumerate(pieces) for end in (0, -1))
    partner = {}
    for (_, *first), (_, *second) in zip(ends[::2], ends[1::2], strict=True):
        partner[tuple(first)], partner[tuple(second)] = tuple(second), tuple(first)
    return [part for part in _join(pieces, partner) if len(part) >= 3 and signed_area(part) != 0]


def _pieces(
    ring: Points, height_P: npt.NDArray[np.float64], inside_P: npt.NDArray[np.bool_], axis: int, limit: float
) -> list[Points]:
    """Cut a ring where it crosses the border; return its pieces inside, each from border to border."""
    following = np.roll(inside_P, -1)
    pieces = []
    for entry in np.flatnonzero(~inside_P & following):
        order = (np.arange(len(ring)) + entry + 1) % len(ring)
        count = int(np.argmin(inside_P[order]))  # points inside, before the ring leaves again
        before, after = order[count - 1], order[count]
        points = [_crossing(ring, height_P, int(entry), int(order[0]), axis, limit)]
        points += list(ring[order[:count]])
        points.append(_crossing(ring, height_P, int(before), int(after), axis, limit))
        pieces.append(np.array(points))
    return pieces


def _crossing(
    ring: Points, height_P: npt.NDArray[np.float64], here: int, there: int, axis: int, limit: float
) -> Points:
    """Return the point where the edge between two points of a ring meets the border."""
    share = height_P[here] / (height_P[here] - height_P[there])
    point: Points = ring[here] + share * (ring[there] - ring[here])
    point[axis] = limit
    return point


def _join(pieces: Sequence[Points], partner: dict[tuple[int, ...], tuple[int, ...]]) -> list[Points]:
    """Join pieces at their ends to closed rings; a piece is walked backwards where its last point comes first."""
    rings, left = [], set(range(len(pieces)))
    while left:
        start = index = min(left)
        end, walked = 0, []
        while index in left:
            left.remove(index)
            walked.append(pieces[index] if end == 0 else pieces[index][::-1])
            index, end = partner[index, -1 if end == 0 else 0]
        if index != start:  # cannot be: every end has one partner, so a walk closes where it began
            raise ArithmeticError("The pieces of an outline do not close.")
        rings.append(without_repeats(np.concatenate(walked)))
    return rings


def without_repeats(ring: Points) -> Points:
    """Drop points that equal the one before them."""
    keep: Points = ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1)]
    return keep
