"""Objects of a map as small images of their own: what a network learns shapes from.

Every object is scaled until its box fills the image but for a margin, white on black: shape counts, size does not.

Letters: N objects, S side of a crop in pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

    from .objects import Labels

Crop: TypeAlias = npt.NDArray[np.uint8]

SIDE = 32  # pixels of a crop
MARGIN = 3  # pixels of a crop that stay black around the object


def object_crops(label_HW: Labels, table: pd.DataFrame, side: int = SIDE) -> npt.NDArray[np.uint8]:
    """Cut the objects of a table out of their map: (N, S, S), 255 on the object.

    Args:
        label_HW: Number of the object at every pixel.
        table: As ``object_table`` returns it, or some of its rows.
        side: Of a crop.
    """
    boxes = table[["label", "top", "bottom", "left", "right"]].to_numpy(int)
    crops = [
        _scaled(label_HW[top : bottom + 1, left : right + 1] == number, side)
        for number, top, bottom, left, right in boxes
    ]
    return np.stack(crops) if crops else np.zeros((0, side, side), np.uint8)


def _scaled(object_hw: npt.NDArray[np.bool_], side: int) -> Crop:
    """Lay an object in the middle of a crop, as large as the margin lets it be."""
    room = side - 2 * MARGIN
    scale = room / max(object_hw.shape)
    height, width = (max(1, round(length * scale)) for length in object_hw.shape)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(object_hw.astype(np.uint8) * 255, (width, height), interpolation=way), np.uint8)
    crop = np.zeros((side, side), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    crop[top : top + height, left : left + width] = small
    return crop
