"""Regions that files do not give as polygons: masks, run lengths, circles and boxes, as rings that fill to the same.

Letters: H and W height and width in pixels, P points of a ring.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from .parsing import as_number
from .polygons import Mask, OutlineError, Points, without_repeats

if TYPE_CHECKING:
    from collections.abc import Iterator

_CORNERS = 90  # of a circle: its area is right to 0.1 %
_MOST_PIXELS = 2**28  # no camera has more: a file that asks for more is damaged
_ZERO, _MOST_BITS = 48, 40  # the character of 0; bits that no count of pixels needs
_Run = tuple[int, int]  # first row of a run of pixels in one column, and one past its last


def circle_ring(centre: Points, border: Points) -> Points:
    """Make the ring (P, 2) of a circle around a point (2,) through another.

    Raises:
        OutlineError: Its radius is zero.
    """
    radius = math.hypot(*(border - centre))
    if radius == 0:
        raise OutlineError("that is a circle of radius 0")
    angle_P = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    return np.asarray(centre + radius * np.stack([np.cos(angle_P), np.sin(angle_P)], axis=1), dtype=np.float64)


def box_ring(box: Any) -> Points:
    """Make the ring (4, 2) of a box as COCO has it: left, top, width, height.

    Raises:
        OutlineError: It is not one, or empty.
    """
    values = [as_number(value) for value in box] if isinstance(box, list) else []
    if len(values) != 4 or None in values:
        raise OutlineError(f"whose box is {_shown(box)}, where left, top, width and height are expected")
    left, top, width, height = (float(value or 0) for value in values)
    if width <= 0 or height <= 0:
        raise OutlineError(f"whose box is {width:g} pixels wide and {height:g} high")
    return rectangle_ring(left, top, left + width, top + height)


def rectangle_ring(x1: float, y1: float, x2: float, y2: float) -> Points:
    """Make the ring (4, 2) of a rectangle from two opposite corners."""
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], dtype=np.float64)


def run_length_mask(segmentation: dict[str, Any]) -> Mask:
    """Decode run lengths, compressed or not, to a mask (H, W).

    Runs go down the columns and begin with what is outside. Compressed, a count is written in 5 bits a character, six
    of which the first count but two is a difference to the one two before (``rleFrString`` of the COCO API). They are
    decoded here since the API trusts what it reads: a damaged text makes it read memory that is not its own.

    Raises:
        OutlineError: The counts are not valid, or do not add up to the size.
    """
    size, counts = segmentation.get("size"), segmentation.get("counts")
    sides = [as_number(value) for value in size] if isinstance(size, list) else []
    if len(sides) != 2 or not all(side is not None and side >= 1 and side == int(side) for side in sides):
        raise OutlineError(f"run-length encoded at size {_shown(size)}, where height and width are expected")
    height, width = (int(side or 0) for side in sides)
    if height * width > _MOST_PIXELS:
        raise OutlineError(f"run-length encoded at {width}x{height} pixels, more than any image has")
    runs = _decompressed(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and 0 <= run <= height * width for run in runs):
        raise OutlineError("run-length encoded with counts that are not whole numbers of pixels")
    if sum(runs) != height * width:
        raise OutlineError(f"run-length encoded: its counts add up to {sum(runs)}, not to {width}x{height} pixels")
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(inside.reshape(width, height).T)


def mask_rings(mask_HW: Mask) -> tuple[Points, ...]:
    """Outline a mask by rings that fill it again to the pixel, holes included.

    A column's run of pixels is stacked on that of the column before where both touch nothing else there; such a stack
    of runs has no hole, and is one ring.
    """
    done: list[_Stack] = []
    growing: list[_Stack] = []
    for column, runs in _columns(mask_HW):
        pairs = [(stack, run) for stack in growing for run in runs if stack.touches(column, run)]
        of_stack = Counter(id(stack) for stack, _ in pairs)
        of_run = Counter(run for _, run in pairs)
        going_on = {run: stack for stack, run in pairs if of_stack[id(stack)] == of_run[run] == 1}
        continued = {id(stack) for stack in going_on.values()}
        done += [stack for stack in growing if id(stack) not in continued]
        growing = [going_on.get(run) or _Stack(column, []) for run in runs]
        for stack, run in zip(growing, runs, strict=True):
            stack.runs.append(run)
    return tuple(stack.ring() for stack in [*done, *growing])


@dataclass(eq=False)
class _Stack:
    """Runs of neighbouring columns, from ``column`` on."""

    column: int
    runs: list[_Run]

    def touches(self, column: int, run: _Run) -> bool:
        top, below = self.runs[-1]
        return column == self.column + len(self.runs) and top < run[1] and run[0] < below

    def ring(self) -> Points:
        upper = [(self.column + i + right, top) for i, (top, _) in enumerate(self.runs) for right in (0, 1)]
        lower = [(self.column + i + right, below) for i, (_, below) in enumerate(self.runs) for right in (0, 1)]
        ring: Points = np.array([*upper, *reversed(lower)], dtype=np.float64)
        return without_repeats(ring)


def _columns(mask_HW: Mask) -> Iterator[tuple[int, list[_Run]]]:
    """Walk through the columns that have runs, from the left."""
    edges_WH = np.diff(np.pad(mask_HW.T, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    first, below = np.argwhere(edges_WH == 1).tolist(), np.argwhere(edges_WH == -1)[:, 1].tolist()
    runs = [(column, (top, end)) for (column, top), end in zip(first, below, strict=True)]
    for column, group in groupby(runs, key=itemgetter(0)):
        yield column, [run for _, run in group]


def _decompressed(text: str) -> list[int]:
    """Decode the text of compressed run lengths; see ``run_length_mask``.

    Raises:
        OutlineError: It ends within a count, or holds other characters.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        digit = ord(character) - _ZERO
        if not 0 <= digit < 64 or shift > _MOST_BITS:
            raise OutlineError("run-length encoded with a text that cannot be decoded")
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise OutlineError("run-length encoded with a text that is cut short")
    return counts


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
