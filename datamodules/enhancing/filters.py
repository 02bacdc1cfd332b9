"""The enhancements themselves: functions of an 8-bit image, one for each name.

Letters: H and W pixels. An image is (H, W) grey or (H, W, 3) RGB, uint8, and so is what comes back. Lengths are pixels
of the image on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

Bytes: TypeAlias = npt.NDArray[np.uint8]

WHITE = 255


def original(values: Bytes) -> Bytes:
    """Leave the image as it is."""
    return values


def otsu(values: Bytes) -> Bytes:
    """Make it black and white, at Otsu's threshold of its grey values."""
    return _bytes(cv2.threshold(luma(values), 0, WHITE, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1])


def adaptive(values: Bytes, block: int = 11, offset: float = 2.0) -> Bytes:
    """Make it black and white, at the mean of ``block`` x ``block`` pixels less ``offset`` grey levels."""
    return _bytes(
        cv2.adaptiveThreshold(luma(values), WHITE, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block, offset)
    )


def gaussian(values: Bytes, size: int = 5, sigma: float = 1.0) -> Bytes:
    """Blur it over ``size`` x ``size`` pixels; a ``sigma`` of 0 is derived from the size."""
    return _bytes(cv2.GaussianBlur(values, (size, size), sigma))


def median(values: Bytes, size: int = 5) -> Bytes:
    """Take the median of ``size`` x ``size`` pixels."""
    return _bytes(cv2.medianBlur(values, size))


def clahe(values: Bytes, clip: float = 1.5, tiles: int = 8) -> Bytes:
    """Equalise histograms of ``tiles`` x ``tiles`` tiles, clipped at ``clip``; of colours, their lightness (CIE L)."""
    equaliser = cv2.createCLAHE(clipLimit=clip, tileGridSize=(tiles, tiles))
    if values.ndim == 2:
        return _bytes(equaliser.apply(values))
    lab = cv2.cvtColor(values, cv2.COLOR_RGB2LAB)
    lab[..., 0] = equaliser.apply(np.ascontiguousarray(lab[..., 0]))
    return _bytes(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB))


def canny(values: Bytes, low: float = 80.0, high: float = 180.0) -> Bytes:
    """Draw Canny's edges in white on black; ``low`` and ``high`` are his two thresholds of the gradient."""
    return _bytes(cv2.Canny(luma(values), low, high))


def sobel_x(values: Bytes, size: int = 3) -> Bytes:
    """Take the size of the change along a row, by a Sobel kernel of ``size``, clipped to white."""
    return _clipped(np.abs(cv2.Sobel(luma(values), cv2.CV_32F, 1, 0, ksize=size)))


def jet(values: Bytes) -> Bytes:
    """Colour its grey values by the colour map JET: RGB."""
    return _bytes(cv2.cvtColor(cv2.applyColorMap(luma(values), cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB))


def bilateral(values: Bytes, size: int = 9, colour: float = 75.0, space: float = 75.0) -> Bytes:
    """Smooth it but for its edges: ``colour`` in grey levels, ``space`` in pixels, over a diameter of ``size``."""
    return _bytes(cv2.bilateralFilter(values, size, colour, space))


def flatten(values: Bytes, share: float = 0.05) -> Bytes:
    """Divide it by itself blurred widely, with a sigma of ``share`` of its shorter side; the median stays."""
    plain = values.astype(np.float32)
    wide = cv2.GaussianBlur(plain, (0, 0), max(share * min(values.shape[:2]), 0.5))
    return _clipped(plain / np.maximum(wide, 1.0) * float(np.median(plain)))


def gradient(values: Bytes, sigma: float = 1.0) -> Bytes:
    """Take the size of the gradient after a blur of ``sigma`` pixels, in grey levels per pixel times four, clipped."""
    grey = luma(values).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), sigma) if sigma > 0 else grey
    return _clipped(np.hypot(*(cv2.Sobel(smooth, cv2.CV_32F, x, 1 - x, ksize=3) for x in (1, 0))) / 2)


def gamma(values: Bytes, gamma: float = 1.3) -> Bytes:
    """Raise it to the power of 1 / ``gamma``, black 0 and white 1: above 1, dark parts become brighter."""
    table = np.rint((np.arange(256) / WHITE) ** (1.0 / gamma) * WHITE).astype(np.uint8)
    return _bytes(cv2.LUT(values, table))


FILTERS: dict[str, Callable[..., Bytes]] = {
    one.__name__: one
    for one in (
        *(original, otsu, adaptive, gaussian, median, clahe, canny, sobel_x, jet, bilateral),
        *(flatten, gradient, gamma),
    )
}


def luma(values: Bytes) -> Bytes:
    """Return grey values (H, W); of colours, their luma (ITU-R BT.601)."""
    return values if values.ndim == 2 else _bytes(cv2.cvtColor(values, cv2.COLOR_RGB2GRAY))


def _clipped(values: npt.NDArray[np.floating]) -> Bytes:
    return _bytes(np.clip(np.rint(values), 0, WHITE))


def _bytes(values: object) -> Bytes:
    return np.asarray(values, dtype=np.uint8)
