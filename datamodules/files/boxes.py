"""Parts of images: boxes that may be turned, and may reach beyond the edges, where the image is reflected."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError

if TYPE_CHECKING:
    from .images import Array


class Box(NamedTuple):
    """A part of an image, in pixels.

    Attributes:
        x: Of its left column; may be negative.
        y: Of its top row.
        width: At least 1.
        height: At least 1.
        angle: By how many degrees it is turned about its middle, clockwise as seen.
    """

    x: int
    y: int
    width: int
    height: int
    angle: float = 0.0

    @property
    def text(self) -> str:
        """As the column ``box`` of a sample table says it: ``x y width height``, and the angle where there is one."""
        return " ".join(str(value) for value in (self if self.angle else self[:4]))


def parse_box(text: str) -> Box:
    """Read a box as ``Box.text`` wrote it.

    Raises:
        DataError: It is not one.
    """
    try:
        x, y, width, height, *angle = text.split()
        box = Box(int(x), int(y), int(width), int(height), *map(float, angle))
    except (ValueError, TypeError) as error:
        raise DataError(f"Expected a box as 'x y width height' in pixels, but found {text!r}.") from error
    if min(box.width, box.height) < 1:
        raise DataError(f"Expected a box of at least one pixel, but found {text!r}.")
    return box


def cut(values: Array, box: Box) -> Array:
    """Cut a box out of an image, (H, W) or (H, W, 3), of any type; a turned one is interpolated bilinearly."""
    if box.angle:
        return _cut_turned(values, box)
    if box.x >= 0 and box.y >= 0 and box.y + box.height <= values.shape[0] and box.x + box.width <= values.shape[1]:
        return values[box.y : box.y + box.height, box.x : box.x + box.width].copy()
    rows = mirrored(box.y, box.height, values.shape[0])
    columns = mirrored(box.x, box.width, values.shape[1])
    return values[rows[:, None], columns]


def mirrored(start: int, length: int, size: int) -> npt.NDArray[np.intp]:
    """Return ``length`` indices from ``start`` on into an axis of ``size``, reflected at its first and last."""
    period = max(2 * (size - 1), 1)
    index = np.arange(start, start + length) % period
    return np.minimum(index, period - index)


def _cut_turned(values: Array, box: Box) -> Array:
    middle = np.array([(box.width - 1) / 2, (box.height - 1) / 2])
    radians = np.radians(box.angle)
    turn = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    to_image = np.column_stack([turn, middle + np.array(box[:2]) - turn @ middle])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # OpenCV resamples no booleans.
    source = values.astype(np.uint8) * np.uint8(255) if values.dtype == np.bool_ else values
    part: Array = cv2.warpAffine(
        source, to_image, (box.width, box.height), flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )
    return part > 127 if values.dtype == np.bool_ else part
