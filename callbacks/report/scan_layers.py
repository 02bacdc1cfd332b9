"""Images of a scan as layers that lie on each other: its image below, and what was found above, clear elsewhere.

Letters: H and W height and width of the scan in pixels, h and w of a layer, N objects.
"""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from callbacks.report.overlays import Mask, RgbImage
    from datamodules.files.objects import Labels

LEVELS = 24  # colours from blue to red
MOST_PIXELS = 24_000_000  # of a layer; larger scans are shown at a half, a third, ...
THUMBNAIL = 220  # pixels of the longer side
_RAMP = cv2.applyColorMap(np.linspace(12, 243, LEVELS).round().astype(np.uint8)[:, None], cv2.COLORMAP_TURBO)
COLOURS: tuple[tuple[int, int, int], ...] = tuple((int(r), int(g), int(b)) for b, g, r in _RAMP[:, 0])
"""Red, green and blue of every level, from blue (0) to red (1): *turbo* without its darkest ends."""


def shrinking(shape: tuple[int, int]) -> int:
    """Return by which whole number a scan is shrunk so that its layers stay in bounds; 1 for all usual ones."""
    factor = 1
    while shape[0] * shape[1] > MOST_PIXELS * factor**2:
        factor += 1
    return factor


def value_layer(label_HW: Labels, number_N: npt.NDArray[np.integer], value_N: npt.NDArray[np.float64]) -> str:
    """Colour objects by their values in [0, 1], from blue to red; return a ``data:`` address.

    Args:
        label_HW: Number of the object at every pixel, 0 on the ground; objects that no value belongs to stay clear.
        number_N: Of the objects.
        value_N: In their order.
    """
    return _address(level_map(label_HW, number_N, value_N))


def level_map(
    label_HW: Labels, number_N: npt.NDArray[np.integer], value_N: npt.NDArray[np.float64]
) -> npt.NDArray[np.uint8]:
    """Return the colour of every pixel (h, w): 0 clear, else one more than its level."""
    colour = np.zeros(int(label_HW.max(initial=0)) + 1, np.uint8)
    colour[number_N] = 1 + np.minimum((np.clip(value_N, 0, 1) * LEVELS).astype(int), LEVELS - 1)
    factor = shrinking(label_HW.shape)
    return np.asarray(colour[label_HW[::factor, ::factor]], np.uint8)


def mask_layer(mask_HW: Mask, colour: tuple[int, int, int]) -> str:
    """Draw a mask in one colour; return a ``data:`` address. Shrunk, a thin line is kept."""
    factor = shrinking(mask_HW.shape)
    level_HW = mask_HW.astype(np.uint8)
    if factor > 1:
        level_HW = np.asarray(cv2.dilate(level_HW, np.ones((factor, factor), np.uint8))[::factor, ::factor], np.uint8)
    return _address(level_HW, (colour,))


def image_layer(image_HW3: RgbImage, quality: int = 80) -> str:
    """Return an image as a ``data:`` address."""
    factor = shrinking(image_HW3.shape[:2])
    if factor > 1:
        size = -(-image_HW3.shape[1] // factor), -(-image_HW3.shape[0] // factor)
        image_HW3 = np.asarray(cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA), np.uint8)
    buffer = BytesIO()
    Image.fromarray(image_HW3).save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def thumbnail(level_hw: npt.NDArray[np.uint8], box: tuple[int, int, int, int], side: int = THUMBNAIL) -> str:
    """Cut a box (top, bottom, left, right) with some air out of a level map; return a small ``data:`` address.

    Shrinking keeps the highest level of every cell, so that the most anomalous objects stay to be seen.
    """
    top, bottom, left, right = box
    air = max(12, (bottom - top + right - left) // 12)
    rows = slice(max(top - air, 0), bottom + air + 1)
    columns = slice(max(left - air, 0), right + air + 1)
    cut = level_hw[rows, columns]
    factor = max(1, -(-max(cut.shape) // side))
    if factor > 1:
        cut = np.asarray(cv2.dilate(cut, np.ones((factor, factor), np.uint8))[::factor, ::factor], np.uint8)
    return _address(cut)


def _address(level_hw: npt.NDArray[np.uint8], colours: tuple[tuple[int, int, int], ...] = COLOURS) -> str:
    image = Image.fromarray(level_hw, "P")
    image.putpalette([0, 0, 0, *(part for colour in colours for part in colour)])
    buffer = BytesIO()
    image.save(buffer, "PNG", transparency=0, bits=8 if len(colours) > 15 else 4, compress_level=6)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
