"""What a browser shows of a judged image: the image itself, layers to lay over it, and what the model went by.

Letters: H and W height and width, C channels, Z filters, h and w their size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from callbacks.report.layers import encode
from callbacks.report.overlays import colour_map

if TYPE_CHECKING:
    from tools.runner.network import Array

ZONE_COLOUR = (86, 180, 233)  # sky blue of Okabe and Ito, which the map and its outlines do not use
SMALL = 96  # of a thumbnail
LUMA = (0.299, 0.587, 0.114)  # as the networks weigh colours, ITU-R BT.601


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


def zone_layer(zones_HW: Array, size: tuple[int, int]) -> Array:
    """Draw the edges of zones, transparent elsewhere: (H, W, 4) uint8 of a size.

    Args:
        zones_HW: Zone ids of the image, 0 where there is none.
        size: Height and width of the layer.
    """
    height, width = size
    drawn = np.zeros((height, width, 4), np.uint8)
    zones = cv2.resize(zones_HW, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    kernel = np.ones((3, 3), np.uint8)
    edge = cv2.dilate(zones, kernel) != cv2.erode(zones, kernel)
    drawn[cv2.dilate(edge.astype(np.uint8), kernel, iterations=max(0, round(max(size) / 500))) > 0] = (
        *ZONE_COLOUR,
        255,
    )
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
