"""How an image looks, in four numbers that cost less than reading it: the facts that tell another camera or light.

Letters: H and W height and width in pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from .images import Array


class Appearance(NamedTuple):
    """How an image looks; all values are shares of white.

    Attributes:
        brightness: Mean of all values, in [0, 1].
        contrast: Standard deviation of the grey values, in [0, 0.5].
        sharpness: Standard deviation of their Laplacian, over the contrast: the share of fine structure, whatever the
            light; 0 where there is no contrast. Blur and enlarging lower it, noise raises it.
        warmth: Mean of red less mean of blue, in [-1, 1]; 0 for grey images.
    """

    brightness: float
    contrast: float
    sharpness: float
    warmth: float


def appearance(scaled: Array) -> Appearance:
    """Measure an image (H, W) or (H, W, 3), as ``images.scale`` returns it: uint8, or float32 in [0, 1]."""
    white = 255.0 if scaled.dtype == np.uint8 else 1.0
    grey_HW = scaled if scaled.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(scaled), cv2.COLOR_RGB2GRAY)
    depth = cv2.CV_16S if scaled.dtype == np.uint8 else cv2.CV_32F
    contrast = _deviation(grey_HW)
    detail = _deviation(cv2.Laplacian(grey_HW, depth))
    channels = cv2.mean(scaled)
    return Appearance(
        brightness=float(scaled.mean(dtype=np.float64)) / white,
        contrast=contrast / white,
        sharpness=detail / contrast if contrast > 0 else 0.0,
        warmth=0.0 if scaled.ndim == 2 else (channels[0] - channels[2]) / white,
    )


def _deviation(values_HW: Array) -> float:
    return float(cv2.meanStdDev(values_HW)[1][0, 0])
