"""What a browser shows of a judged image: the image itself, layers to lay over it, and what the model went by.

Letters: H and W height and width, C channels, Z filters, h and w their size.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from callbacks.report.pictures import PREDICTED_COLOUR, colour_map
from datamodules.files.images import resize, scale, to_rgb

if TYPE_CHECKING:
    from tools.runner.network import Array

LARGEST = 1280  # pixels along the longer side of what is shown
SMALL = 96  # of a thumbnail
LUMA = (0.299, 0.587, 0.114)  # as the networks weigh colours, ITU-R BT.601
FADE_FROM, FADE_TO = 0.25, 0.75  # of the map's range; below, the image stays as it is
HALO = (16, 16, 16)


def preview(values: Array, white_level: float | None = None) -> Array:
    """Shrink an image as stored to what is shown: (H, W, 3) uint8, in its own proportions."""
    height, width = values.shape[:2]
    factor = min(1.0, LARGEST / max(height, width))
    small = scale(values, white_level)
    if factor < 1:
        small = resize(small, max(1, round(height * factor)), max(1, round(width * factor)))
    small = to_rgb(small)
    return small if small.dtype == np.uint8 else np.rint(small.clip(0, 1) * 255).astype(np.uint8)


def map_layer(map_HW: Array, low: float, high: float) -> Array:
    """Colour a map, transparent where it is low: (H, W, 4) uint8."""
    width = high - low
    share = np.clip((np.nan_to_num(map_HW) - low) / width, 0, 1) if width > 0 else (map_HW > low).astype(np.float64)
    fade = np.clip((share - FADE_FROM) / (FADE_TO - FADE_FROM), 0, 1)
    alpha = np.rint(255 * fade * fade * (3 - 2 * fade)).astype(np.uint8)
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


def encode(values: Array, *, lossless: bool = False) -> bytes:
    """Encode (H, W), (H, W, 3) or (H, W, 4) uint8 as WebP."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(values)).save(buffer, "WEBP", quality=90, method=2, lossless=lossless)
    return buffer.getvalue()


def views_drawn(views: dict[str, Array], input_3HW: Array) -> dict[str, bytes]:
    """Draw what a model went by on one image.

    Returns:
        ``reconstruction``, ``difference`` (from none, dark, to the largest, pale), and ``bottleneck-1`` and so on, each
        stretched from its lowest value to its highest.
    """
    drawn: dict[str, bytes] = {}
    if "reconstruction" in views:
        rebuilt_CHW = views["reconstruction"][0]
        seen_CHW = seen(input_3HW, len(rebuilt_CHW))
        apart_HW = np.abs(seen_CHW - rebuilt_CHW).max(axis=0)
        drawn["input"] = encode(_plain(seen_CHW))
        drawn["reconstruction"] = encode(_plain(rebuilt_CHW))
        drawn["difference"] = encode(colour_map(apart_HW, 0.0, float(apart_HW.max())))
    for number, map_hw in enumerate(views.get("bottleneck", [[]])[0], start=1):
        drawn[f"bottleneck-{number}"] = encode(stretched(map_hw), lossless=True)
    return drawn


def seen(input_3HW: Array, channels: int) -> Array:
    """Return what a network of so many channels sees: (C, H, W)."""
    if channels == input_3HW.shape[0]:
        return input_3HW
    weighed: Array = np.tensordot(np.asarray(LUMA, np.float32), input_3HW, axes=1)[None]
    return weighed


def stretched(map_hw: Array) -> Array:
    """Spread the values of a map over all greys; a constant one, such as that of a dead filter, is black."""
    low, high = float(map_hw.min()), float(map_hw.max())
    levels: Any = np.zeros_like(map_hw) if high == low else (map_hw - low) / (high - low)
    drawn: Array = np.rint(255 * levels).astype(np.uint8)
    return drawn


def _plain(values_CHW: Array) -> Array:
    levels: Array = np.rint(values_CHW.clip(0, 1) * 255).astype(np.uint8)
    return levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0)


def _grown(region_HW: Array, pixels: int) -> Array:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(region_HW, kernel)
