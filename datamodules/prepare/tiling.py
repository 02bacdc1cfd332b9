"""Large images to tiles of one size, after the empty background around the part was made even.

Letters: H and W height and width of the image in pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from datamodules.files.images import resize

if TYPE_CHECKING:
    import numpy.typing as npt

    from datamodules.files.images import Array
    from datamodules.outlines.polygons import Mask

_ENOUGH = 10_000  # pixels, to know the background's median
_WORKING_EDGE = 1024  # pixels: the part is sought in a copy no larger than this
_MIN_PIECE = 0.1  # of the largest piece: smaller ones are dirt
_MIN_SHARE, _MOST_SHARE = 0.001, 0.9  # of the image: beyond these there is no part before a background


class Tile(NamedTuple):
    """A rectangle of an image, in pixels."""

    x: int
    y: int
    width: int
    height: int

    def cut(self, values: Array) -> Array:
        """Cut it out of (H, W) or (H, W, 3)."""
        return values[self.y : self.y + self.height, self.x : self.x + self.width]


def tiles_of(height: int, width: int, size: int, overlap: int) -> list[Tile]:
    """Cover an image with squares of ``size`` pixels that overlap by at least ``overlap``, row by row.

    The last of a row or column ends at the image's edge, so all are of one size; an image that is smaller than
    ``size`` along an axis is whole along that axis.
    """
    return [
        Tile(x, y, min(size, width), min(size, height))
        for y in _starts(height, size, overlap)
        for x in _starts(width, size, overlap)
    ]


def _starts(length: int, size: int, overlap: int) -> list[int]:
    if length <= size:
        return [0]
    return [*range(0, length - size, size - overlap), length - size]


def find_part(grey: npt.NDArray[np.uint8], margin: int) -> Mask:
    """Find the part before its background by Otsu's threshold.

    Background is the side of the threshold to which most of the image's border belongs, so that dark rings on a light
    table and light ones on a dark table are both found.

    Args:
        grey: (H, W).
        margin: Pixels around the part that count as part, so that nothing at its edge is lost.

    Returns:
        (H, W), True on the part; everywhere, where nothing stands out from a background.

    Source: Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9 (1979).
    """
    height, width = grey.shape
    shrink = max(1.0, max(height, width) / _WORKING_EDGE)
    small = resize(grey, max(1, round(height / shrink)), max(1, round(width / shrink)))
    _, bright = cv2.threshold(cv2.GaussianBlur(small, (5, 5), 0), 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    border = np.concatenate([bright[0], bright[-1], bright[:, 0], bright[:, -1]])
    part = (1 - bright if border.mean() >= 0.5 else bright).astype(np.uint8)
    _, piece_HW, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    if not _MIN_SHARE * part.size <= area.sum() <= _MOST_SHARE * part.size:
        return np.ones((height, width), dtype=np.bool_)
    part = (area >= _MIN_PIECE * area.max())[piece_HW].astype(np.uint8)
    away = cv2.distanceTransform(1 - part, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = (away <= margin / shrink).astype(np.uint8)
    return np.asarray(cv2.resize(near, (width, height), interpolation=cv2.INTER_NEAREST), dtype=np.bool_)


def even_background(values: Array, part: Mask) -> Array:
    """Return an image, (H, W) or (H, W, 3), with the median of its background everywhere outside ``part``."""
    if part.all():
        return values
    evened: Array = values.copy()
    background = values[~part]
    some = background[:: max(1, len(background) // _ENOUGH)]
    evened[~part] = np.median(some, axis=0).astype(values.dtype)
    return evened
