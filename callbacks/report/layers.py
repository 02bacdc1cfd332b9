"""Images in their own proportions, and layers that lie over them: the map, and lines around what is called defective.

Ships with bundles. Letters: H and W height and width; images are RGB, layers RGBA, both uint8.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from datamodules.files.images import resize, scale, to_rgb

from .overlays import PREDICTED_COLOUR, colour_map

if TYPE_CHECKING:
    from datamodules.files.fitting import Placement
    from datamodules.files.images import Array

LARGEST = 1280  # pixels along the longer side of what is shown
FADE_FROM, FADE_TO = 0.25, 0.75  # of the map's range; below, the image stays as it is
HALO = (16, 16, 16)
_OPACITY = 0.55  # of the map where it is highest, so that the defect is seen beneath
_BAND = 256  # rows that are blended at a time: an image may be large


def preview(values: Array, white_level: float | None = None, longest: int | None = LARGEST) -> Array:
    """Shrink an image as stored to what is shown: (H, W, 3) uint8, in its own proportions.

    Args:
        values: (H, W) or (H, W, 3).
        white_level: Stored value that means white; None: what the type can hold.
        longest: Pixels along the longer side; None: as on disk.
    """
    height, width = values.shape[:2]
    factor = 1.0 if longest is None else min(1.0, longest / max(height, width))
    small = scale(values, white_level)
    if factor < 1:
        small = resize(small, max(1, round(height * factor)), max(1, round(width * factor)))
    small = to_rgb(small)
    return small if small.dtype == np.uint8 else np.rint(small.clip(0, 1) * 255).astype(np.uint8)


def map_layer(map_HW: Array, low: float, high: float, opacity: float = 1.0) -> Array:
    """Colour a map, transparent where it is low: (H, W, 4).

    Args:
        map_HW: Raw values.
        low: Value of the darkest colour.
        high: Value of the brightest colour.
        opacity: Where the map is highest, in [0, 1].
    """
    width = high - low
    share = np.clip((np.nan_to_num(map_HW) - low) / width, 0, 1) if width > 0 else (map_HW > low).astype(np.float64)
    fade = np.clip((share - FADE_FROM) / (FADE_TO - FADE_FROM), 0, 1)
    alpha = np.rint(255 * opacity * fade * fade * (3 - 2 * fade)).astype(np.uint8)
    return np.dstack([colour_map(map_HW, low, high), alpha])


def outline_layer(mask_HW: Array, size: tuple[int, int]) -> Array:
    """Draw lines around what is called defective, transparent elsewhere: (H, W, 4) uint8 of a size."""
    height, width = size
    region = cv2.resize(mask_HW.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    thickness = max(1, round(max(size) / 300))
    line = _grown(region, thickness)
    halo = _grown(line, max(1, thickness // 2))
    layer = np.zeros((height, width, 4), np.uint8)
    layer[(halo > 0) & (region == 0)] = (*HALO, 255)
    layer[(line > 0) & (region == 0)] = (*PREDICTED_COLOUR, 255)
    return layer


def found_layer(
    map_hw: Array, mask_hw: Array | None, limits: tuple[float, float], placement: Placement, size: tuple[int, int]
) -> Array:
    """Draw the map and the outline of what is called defective for an image of a size: (H, W, 4).

    Args:
        map_hw: Raw, at the size that the model sees.
        mask_hw: What is called defective, at the same size; None: nothing is outlined.
        limits: Raw map values of the darkest and the brightest colour.
        placement: How the image lies in what the model sees.
        size: Height and width of the image as it is shown.
    """
    layer = placement.values_on_disk(map_layer(map_hw, *limits, _OPACITY), size)
    if mask_hw is not None and mask_hw.any():
        lines = outline_layer(placement.mask_on_disk(mask_hw), size)
        drawn = lines[..., 3] > 0
        layer[drawn] = lines[drawn]
    return layer


def laid_over(image_HW3: Array, layer_HW4: Array) -> Array:
    """Lay a layer over an image of its size: (H, W, 3)."""
    blended = np.empty_like(image_HW3)
    for top in range(0, len(image_HW3), _BAND):
        rows = slice(top, top + _BAND)
        share = layer_HW4[rows, :, 3:].astype(np.float32) / 255
        blended[rows] = np.rint(image_HW3[rows] * (1 - share) + layer_HW4[rows, :, :3] * share)
    return blended


def caption(image_HW3: Array, words: str, mask_HW: Array | None = None) -> None:
    """Write words along an edge of an image, in place: along the top, unless only there something is marked.

    An image too small for words that can be read stays as it is.

    Args:
        image_HW3: RGB.
        words: In ASCII, the only letters that OpenCV has.
        mask_HW: What the words should not cover, where there is a choice.
    """
    font, (height, width) = cv2.FONT_HERSHEY_SIMPLEX, image_HW3.shape[:2]
    (wide, tall), below = cv2.getTextSize(words, font, 1.0, 1)
    size = min(max(height, width) / 1800 + 0.25, 0.94 * width / wide)
    bar = round(2 * (tall + below) * size)
    if size < 0.3 or 4 * bar > height:
        return
    at_top = mask_HW is None or not mask_HW[:bar].any() or bool(mask_HW[-bar:].any())
    band = image_HW3[:bar] if at_top else image_HW3[-bar:]
    band[:] = np.rint(band * 0.3).astype(np.uint8)
    place = (round(0.03 * width), (0 if at_top else height - bar) + round((bar + tall * size) / 2))
    cv2.putText(image_HW3, words, place, font, size, (255, 255, 255), max(1, round(1.6 * size)), cv2.LINE_AA)


def encode(values: Array, *, lossless: bool = False, quality: int = 90) -> bytes:
    """Encode (H, W), (H, W, 3) or (H, W, 4) uint8 as WebP."""
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(values))
    image.save(buffer, "WEBP", quality=quality, method=2, lossless=lossless)
    return buffer.getvalue()


def _grown(region_HW: Array, pixels: int) -> Any:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(region_HW, kernel)
