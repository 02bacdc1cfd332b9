"""How a layer looks, in a few numbers that need no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from .files.images import grey, resize, scale

if TYPE_CHECKING:
    from .files.images import Array

Floats = npt.NDArray[np.float64]

SIDE = 16


def layer_features(image: Array, white_level: float | None = None) -> Floats:
    """Return the look of a layer, (F,): a copy of 16 x 16 grey values, their mean and spread, and how rough it is."""
    values = scale(grey(image), white_level).astype(np.float32)
    values = values / np.float32(255) if image.dtype == np.uint8 and white_level in (None, 255) else values
    small = resize(values, 4 * SIDE, 4 * SIDE)
    rough = float(np.abs(cv2.Laplacian(small, cv2.CV_32F)).mean())
    tiny = resize(small, SIDE, SIDE)
    return np.concatenate([tiny.ravel(), [tiny.mean(), tiny.std(), rough]]).astype(np.float64)
