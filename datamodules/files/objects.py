"""Objects of a binary map: what the anomaly of inclusions, in space, in shape and in area, is measured on.

As MLography extracts them (impurity_extract.py; Sci Rep 12:4776): what is dark is closed once with a 3 x 3 square, and
numbered by its 8-connected parts; a watershed then divides the band of three pixels around the parts between them and
the ground. Objects do not grow into the band, which goes back to the ground, except that a hole or a slit which the
band covers wholly has no ground in it and is filled. The outermost rows and columns of the map are lost.

Letters: H and W height and width of the map in pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError

if TYPE_CHECKING:
    from .images import Array

Labels: TypeAlias = npt.NDArray[np.int32]
Ground: TypeAlias = Literal["auto", "bright", "dark"]

THRESHOLD = 30  # grey levels, as MLography's authors used: an object is at most this far from black
BAND = 3  # pixels around an object that the watershed divides
FIRST = 2  # number of the first object; 1 is the ground there
GROUND = 1
DIM = 127  # grey levels up to which the brightest of a map is not white

_SQUARE = np.ones((3, 3), np.uint8)


def object_labels(map_HW: Array, *, ground: Ground = "auto", threshold: int = THRESHOLD) -> Labels:
    """Number the objects of a map, pixel by pixel.

    Args:
        map_HW: (H, W) grey values, (H, W, 3) colours, or booleans that are true on objects; of 8 or 16 bits. Of
            two values that are both dark (0 and 1, 0 and 31, ...), the higher is read as white.
        ground: ``bright``: objects are dark on it; ``dark``: bright on it; ``auto``: the ground is what most of the
            map is.
        threshold: Objects are no brighter than this on a bright ground, no darker than 255 less this on a dark one.

    Returns:
        (H, W): the number of the object at every pixel, from 2 as MLography counts, with gaps where the watershed left
        nothing of one; 0 on the ground.

    Raises:
        DataError: The map is not a map: it has other axes, or values of another kind.
    """
    grey_HW = _on_bright_ground(map_HW, ground)
    on_HW = cv2.threshold(grey_HW, threshold, 255, cv2.THRESH_BINARY_INV)[1]
    closed_HW = cv2.morphologyEx(on_HW, cv2.MORPH_CLOSE, _SQUARE)
    band_HW = cv2.subtract(cv2.dilate(closed_HW, _SQUARE, iterations=BAND), closed_HW)
    label_HW = np.asarray(cv2.connectedComponents(closed_HW)[1], dtype=np.int32)
    label_HW += 1
    label_HW[band_HW > 0] = 0
    label_HW = np.asarray(cv2.watershed(cv2.merge([grey_HW] * 3), label_HW), dtype=np.int32)
    np.copyto(label_HW, 0, where=label_HW <= GROUND)
    return label_HW


def has_dark_ground(grey_HW: Array) -> bool:
    """Tell whether most of a map is dark."""
    return cv2.countNonZero(cv2.threshold(grey_HW, 127, 255, cv2.THRESH_BINARY)[1]) * 2 < grey_HW.size


def _on_bright_ground(map_HW: Array, ground: Ground) -> npt.NDArray[np.uint8]:
    """Return grey values (H, W) with dark objects.

    Raises:
        DataError: See ``object_labels``.
    """
    if map_HW.ndim not in {2, 3} or map_HW.dtype not in (np.bool_, np.uint8, np.uint16) or not map_HW.size:
        raise DataError(
            f"Expected a map of 8 or 16-bit values or booleans, (H, W), but found {map_HW.dtype} {map_HW.shape}; save "
            "it as 8-bit grey."
        )
    values = map_HW if map_HW.ndim == 2 else map_HW[..., :3].max(axis=2)
    if values.dtype == np.bool_:
        return np.where(values, np.uint8(0), np.uint8(255))
    grey_HW = _full_range(np.ascontiguousarray(values))
    dark = has_dark_ground(grey_HW) if ground == "auto" else ground == "dark"
    return 255 - grey_HW if dark else grey_HW


def _full_range(values_HW: Array) -> npt.NDArray[np.uint8]:
    """Bring values to 8 bits, and the two values of a dim map to black and white."""
    low, high = int(values_HW.min()), int(values_HW.max())
    if low < high <= DIM and int(((values_HW == low) | (values_HW == high)).sum()) == values_HW.size:
        return np.where(values_HW == low, np.uint8(0), np.uint8(255))
    return np.asarray(values_HW // 257 if high > 255 else values_HW, np.uint8)
