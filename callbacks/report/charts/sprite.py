"""Many small images in one: a page holds a single address, and its script cuts the tiles out.

Letters: A images, h and w pixels of each.
"""

from __future__ import annotations

import base64
from io import BytesIO
from math import ceil, sqrt
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import numpy.typing as npt

MOST_BYTES = 3_000_000
_SIZES = ((96, 78), (80, 72), (64, 66), (48, 60), (32, 50))  # longest edge in pixels and quality, best first
_LONGEST = 16_000  # pixels that a side of a WebP image may have


class Sprite(NamedTuple):
    """A sheet of tiles in rows.

    Attributes:
        source: The sheet as a ``data:`` address.
        columns: Tiles in a row.
        height: Of a tile, in pixels.
        width: Of a tile, in pixels.
    """

    source: str
    columns: int
    height: int
    width: int


def sprite(image_AhwC: npt.NDArray[np.uint8], most_bytes: int = MOST_BYTES) -> Sprite:
    """Lay images of one size out on a sheet, row by row, as sharp as the bytes allow."""
    for edge, quality in _SIZES:
        tiles = _shrunk(image_AhwC, edge)
        count, height, width = tiles.shape[:3]
        columns = max(1, min(count, ceil(sqrt(count * height / width)), _LONGEST // width))
        content = _webp(_sheet(tiles, columns), quality)
        if len(content) <= most_bytes:
            break
    return Sprite("data:image/webp;base64," + base64.b64encode(content).decode("ascii"), columns, height, width)


def _shrunk(image_AhwC: npt.NDArray[np.uint8], edge: int) -> npt.NDArray[np.uint8]:
    height, width = image_AhwC.shape[1:3]
    if (scale := edge / max(height, width)) >= 1:
        return image_AhwC
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.stack([np.asarray(cv2.resize(one, size, interpolation=cv2.INTER_AREA), np.uint8) for one in image_AhwC])


def _sheet(tile_AhwC: npt.NDArray[np.uint8], columns: int) -> npt.NDArray[np.uint8]:
    count, height, width = tile_AhwC.shape[:3]
    rows = ceil(count / columns)
    padded = np.zeros((rows * columns, height, width, 3), dtype=np.uint8)
    padded[:count] = tile_AhwC
    grid = padded.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, 3)


def _webp(image: npt.NDArray[np.uint8], quality: int) -> bytes:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()
