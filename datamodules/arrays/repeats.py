"""What repeats in an image: its relief, and the two shortest steps that carry its pattern onto itself.

Letters: H and W height and width in pixels. Points are x before y.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError
from datamodules.files.images import Array, resize, scale

from .cells import peak_offset

Floats = npt.NDArray[np.float64]
Plane = npt.NDArray[np.float32]

SIDE = 640  # repeats are sought in an image no larger than this, or than 24 pixels per cell
STEEPEST = 42.0  # degrees that rows may be turned: from 45 on, rows and columns cannot be told apart
COARSE = 6.0  # pixels: slow light is taken from an image so much reduced that it varies over so many


class LatticeError(DataError):
    """No lattice, or not the expected one, was found in an image.

    Attributes:
        found: Rows and columns that were found instead of those expected; None where nothing was.
    """

    def __init__(self, message: str, found: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.found = found


def flatten(image: Array, sigma: float) -> Plane:
    """Return the relief (H, W) of an image: grey, without slow light, about as strong everywhere, clipped at 3.

    It is 0, exactly, in a frame of one colour, as turning an image leaves in its corners.

    Args:
        image: (H, W) or (H, W, 3), as stored.
        sigma: What varies over more than this many pixels is light.
    """
    values = scale(image, None if image.dtype != np.float32 else float(max(image.max(), 1e-9)))
    grey = values.astype(np.float32)
    if grey.ndim == 3:
        grey = np.asarray(cv2.transform(grey, np.full((1, grey.shape[2]), 1 / grey.shape[2])), dtype=np.float32)
    shown = (~frame_of(grey)).astype(np.float32)
    share = None if shown.all() else np.maximum(slow(shown, sigma), 1e-3)

    def local_mean(plane: Plane) -> Plane:
        smooth = slow(plane if share is None else plane * shown, sigma)
        return smooth if share is None else np.asarray(smooth / share, dtype=np.float32)

    relief = (grey - local_mean(grey)).astype(np.float32)
    strength = np.sqrt(local_mean(relief**2))
    flat = np.clip(relief / (strength + 0.2 * float(strength.mean()) + 1e-9), -3.0, 3.0) * shown
    return np.asarray(flat, dtype=np.float32)


def slow(plane_HW: Plane, sigma: float) -> Plane:
    """Return what varies over more than ``sigma`` pixels, by a Gaussian of the reduced image."""
    height, width = plane_HW.shape
    factor = max(sigma / COARSE, 1.0)
    size = max(round(width / factor), 1), max(round(height / factor), 1)
    small = cv2.resize(plane_HW, size, interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(small, (0, 0), sigma * size[0] / width, sigmaY=sigma * size[1] / height)
    return np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def frame_of(grey_HW: Plane) -> npt.NDArray[np.bool_]:
    """Tell which pixels have exactly the value of a corner and are connected to it, or lie within 2 pixels of such.

    A corner with fewer than 16 of its like is part of the image.
    """
    height, width = grey_HW.shape
    frame = np.zeros((height, width), dtype=np.uint8)
    for x, y in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
        region = np.zeros((height + 2, width + 2), dtype=np.uint8)
        count = cv2.floodFill(grey_HW.copy(), region, (x, y), 0.0, 0.0, 0.0, 4 | cv2.FLOODFILL_MASK_ONLY)[0]
        if count >= 16:
            frame |= region[1:-1, 1:-1]
    return cv2.dilate(frame, np.ones((5, 5), np.uint8)).astype(bool)


def find_steps(image: Array, side: int = SIDE) -> tuple[Floats, Floats]:
    """Return the two shortest repeats of an image, to the right and down, from its autocorrelation.

    Raises:
        LatticeError: Nothing repeats.
    """
    from scipy import ndimage  # noqa: PLC0415 - bundles hold this file, and need SciPy for arrays alone

    factor = min(1.0, side / max(image.shape[:2]))
    small = resize(image, *(max(1, round(length * factor)) for length in image.shape[:2]))
    correlation, overlap = autocorrelation(flatten(small, max(small.shape[:2]) / 24))
    centre = np.array(correlation.shape[::-1]) // 2
    smooth = cv2.GaussianBlur(correlation, (0, 0), 1.0).astype(np.float32)
    highest = ndimage.maximum_filter(smooth, size=5)
    y, x = np.nonzero((smooth == highest) & (smooth > 0.1))
    point = np.stack([x, y], axis=1) - centre
    point = point[(np.hypot(*point.T) >= 4) & (np.abs(point) < centre - 2).all(axis=1)]
    steps = []
    for heading in (0.0, 90.0):
        turn = np.degrees(np.arctan2(point[:, 1], point[:, 0])) - heading
        ahead = point[np.abs(turn) < STEEPEST]
        if not len(ahead):
            raise LatticeError(
                "Expected an image of an array, but found nothing that repeats in it both ways; check that it shows a "
                "whole array in focus, of at least two rows and columns, turned by 40 degrees at most."
            )
        place = ahead[:, 1] + centre[1], ahead[:, 0] + centre[0]
        height = smooth[place] * np.sqrt(overlap[place])  # the less overlaps, the more a few cells decide
        ahead = ahead[height >= 0.6 * height.max()]
        step = ahead[np.argmin(np.hypot(*ahead.T))]
        x0, y0 = step + centre
        steps.append((step + peak_offset(smooth[y0 - 1 : y0 + 2, x0 - 1 : x0 + 2])) / factor)
    return steps[0], steps[1]


def autocorrelation(relief_HW: Plane) -> tuple[Plane, Plane]:
    """Return the autocorrelation, 1 at no shift (in the middle), for shifts up to half the image, and what overlaps.

    The image fades towards its border (Hann), and every shift is divided by what the fading alone leaves of it.
    """
    from scipy import fft  # noqa: PLC0415 - bundles hold this file, and need SciPy for arrays alone

    fades = [np.hanning(length + 2)[1:-1].astype(np.float32) for length in relief_HW.shape]
    shape = [fft.next_fast_len(length + length // 2, real=True) for length in relief_HW.shape]  # no shift wraps around
    spectrum = fft.rfft2(relief_HW * np.outer(*fades), s=shape)
    both = fft.irfft2(spectrum.real**2 + spectrum.imag**2, s=shape)
    alone = [fft.irfft(np.abs(fft.rfft(fade, n)) ** 2, n) for fade, n in zip(fades, shape, strict=True)]
    shifts = [np.arange(-(length // 2), length // 2) for length in relief_HW.shape]
    left = np.outer(*(part[shift] / part[0] for part, shift in zip(alone, shifts, strict=True)))
    ratio = both[np.ix_(*shifts)] / np.maximum(left, 1e-3)
    middle = max(float(ratio[relief_HW.shape[0] // 2, relief_HW.shape[1] // 2]), 1e-12)
    return np.asarray(ratio / middle, dtype=np.float32), np.asarray(np.clip(left, 0, 1), dtype=np.float32)
