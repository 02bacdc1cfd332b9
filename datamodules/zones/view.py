"""One image as the zone detectors see it: grey, without the black frame of a video image, and once more made small.

Letters: H and W of the image without its frame, h and w of the small copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .edges import Edges, find_edges

if TYPE_CHECKING:
    from datamodules.files.images import Array

    from .ellipse import Ellipse, Plane

SMALL = 240  # the shorter side of the copy in which detectors search, in pixels
DARK = 0.15  # of the median brightness: rows and columns at the border that stay below are not part of the image
RAMP = 0.006  # of a side: what a frame's edge takes to become bright


@dataclass(frozen=True)
class View:
    """An image to find zones in.

    Attributes:
        grey_HW: 0 to 1, without the frame.
        left: Columns cut off.
        top: Rows cut off.
        aspect: Of a circle in these pixels (x over y), where known.
    """

    grey_HW: Plane
    left: int
    top: int
    aspect: float = 1.0

    @cached_property
    def shrink(self) -> float:
        """Pixels of the small copy per pixel of the image; at most 1."""
        return min(1.0, SMALL / float(min(self.grey_HW.shape)))

    @cached_property
    def small_hw(self) -> Plane:
        """The image made small by area."""
        height, width = self.grey_HW.shape
        size = max(round(width * self.shrink), 1), max(round(height * self.shrink), 1)
        return np.asarray(cv2.resize(self.grey_HW, size, interpolation=cv2.INTER_AREA), dtype=np.float32)

    @cached_property
    def edges(self) -> Edges:
        """Edges of the small copy."""
        return find_edges(self.small_hw)

    def to_full(self, small: Ellipse) -> Ellipse:
        """Bring an ellipse of the small copy to the image without its frame."""
        shift = 0.5 / self.shrink - 0.5
        return small.moved(shift, shift, 1.0 / self.shrink)

    def on_disk(self, found: Ellipse) -> Ellipse:
        """Bring an ellipse to the image on disk, where (0, 0) is the outer corner of its first pixel."""
        return found.moved(self.left + 0.5, self.top + 0.5)


def make_view(values: Array, aspect: float = 1.0) -> View:
    """Look at an image (H, W) or (H, W, 3), uint8, uint16, or floats whose largest value means white."""
    grey = to_grey(values)
    top, bottom = _lit(grey, axis=1)
    left, right = _lit(grey, axis=0)
    return View(np.ascontiguousarray(grey[top:bottom, left:right]), left, top, aspect)


def to_grey(values: Array) -> Plane:
    """Return an image (H, W) or (H, W, 3) as grey (H, W) in [0, 1]."""
    grey = values if values.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(values), cv2.COLOR_RGB2GRAY)
    white = np.iinfo(grey.dtype).max if grey.dtype.kind == "u" else max(float(grey.max()), 1e-9)
    return (grey / np.float32(white)).astype(np.float32, copy=False)


def _lit(grey: Plane, axis: int) -> tuple[int, int]:
    """Return first and last (exclusive) row or column that is not part of a black frame."""
    # Not the maximum: a frame may hold bright pixels of a caption, or noise.
    reach = np.percentile(grey[::2, ::2] if min(grey.shape) > 64 else grey, 98, axis=axis)
    step = 2 if min(grey.shape) > 64 else 1
    lit = np.flatnonzero(reach > DARK * float(np.median(grey[:: 2 * step, :: 2 * step])))
    length = grey.shape[1 - axis]
    if not len(lit):
        return 0, length
    ramp = max(2, round(RAMP * length))
    first = int(lit[0]) * step + (ramp if lit[0] else 0)
    last = min((int(lit[-1]) + 1) * step, length)
    last -= ramp if last < length - step else length - length
    return (first, last) if last - first > length // 4 else (0, length)
