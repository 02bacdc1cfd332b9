"""The ground on which parts lie, and the pieces that stand out from it: Otsu's threshold, whatever the light.

Parts may be darker than their ground or lighter, and lit from one side: the ground is a slope, fitted where it shows,
and a piece is what differs from it by a fifth of the usual contrast, so that the dark side of a part is not lost.

Letters: h and w height and width of the small copy in which pieces are found, in pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .ellipse import Plane

Mask: TypeAlias = npt.NDArray[np.bool_]
WORKING_EDGE = 640  # pixels of the small copy's longer side, at most
RIM = 0.04  # of a side: the image's border, which is mostly ground
ROUNDS = 3
ENOUGH = 10_000  # values for a median
DEPTH = 0.45  # of the way from the ground to Otsu's threshold
NOISE = 6.0  # standard deviations of the ground beyond which something stands out from it
FAINT = 0.02  # of white: less contrast is none
LIKE = 0.04  # of white: what is so near the rim's usual brightness is ground to begin with
BLACK = 0.15  # of the median brightness: rows and columns at the border that stay below are a frame
RAMP = 0.006  # of a side: what a frame's edge takes to become bright


class Ground(NamedTuple):
    """An image made small, and what of it is ground.

    Attributes:
        grey_hw: The small copy, 0 to 1.
        level_hw: The ground's brightness, where it shows and where parts cover it.
        mask_hw: What stands out.
        shrink: Pixels of the small copy per pixel of the image; at most 1.
        noise: Standard deviation of the ground in the small copy.
    """

    grey_hw: Plane
    level_hw: Plane
    mask_hw: Mask
    shrink: float
    noise: float


def find_ground(grey_HW: Plane) -> Ground:
    """Separate parts from their ground; the mask is empty where nothing stands out.

    Source: Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9 (1979).
    """
    height, width = grey_HW.shape
    shrink = min(1.0, WORKING_EDGE / max(height, width))
    size = max(round(width * shrink), 1), max(round(height * shrink), 1)
    small = cv2.resize(grey_HW, size, interpolation=cv2.INTER_AREA) if shrink < 1 else grey_HW
    small = np.asarray(small, dtype=np.float32)
    is_ground_hw = _rim_like(small)
    level_hw = _slope(small, is_ground_hw)
    for _ in range(ROUNDS):
        away_hw = np.abs(small - level_hw)
        threshold = _threshold(away_hw, is_ground_hw)
        is_ground_hw = away_hw <= threshold
        level_hw = _slope(small, _shrunk(is_ground_hw))
    away_hw = np.abs(small - level_hw)
    threshold, noise = _threshold(away_hw, is_ground_hw), _spread(away_hw[is_ground_hw])
    mask_hw = cv2.morphologyEx((away_hw > threshold).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    return Ground(small, level_hw, mask_hw, shrink, noise)


def unframed(grey_HW: Plane) -> tuple[slice, slice]:
    """Return rows and columns without a black frame, as screenshots and video have it."""
    usual = float(np.median(grey_HW[::8, ::8]))
    return _lit(grey_HW[:, ::16], usual, axis=1), _lit(grey_HW[::16], usual, axis=0)


def _lit(grey_HW: Plane, usual: float, axis: int) -> slice:
    reach = np.percentile(grey_HW, 98, axis=axis)
    lit = np.flatnonzero(reach >= BLACK * usual)
    if not len(lit) or lit[-1] - lit[0] < len(reach) // 4:
        return slice(0, len(reach))
    ramp = round(RAMP * len(reach)) + 1
    first = 0 if lit[0] == 0 else int(lit[0]) + ramp
    last = len(reach) if lit[-1] == len(reach) - 1 else int(lit[-1]) + 1 - ramp
    return slice(first, last)


def _rim_like(small_hw: Plane) -> Mask:
    """Tell which pixels are as bright as most of the image's rim."""
    height, width = small_hw.shape
    rows, columns = max(2, round(RIM * height)), max(2, round(RIM * width))
    sides = (small_hw[:rows], small_hw[-rows:], small_hw[:, :columns], small_hw[:, -columns:])
    rim = np.concatenate([side.ravel() for side in sides])
    counts, edges = np.histogram(rim, bins=50, range=(0.0, max(float(rim.max()), 1e-6)))
    most = int(np.argmax(np.convolve(counts, [1, 2, 3, 2, 1], mode="same")))
    middle = float(edges[most] + edges[most + 1]) / 2
    like_hw: Mask = np.abs(small_hw - middle) <= max(LIKE, 0.25 * middle)
    return like_hw


def _slope(small_hw: Plane, is_ground_hw: Mask) -> Plane:
    """Fit the brightness of the ground by a polynomial of second degree."""
    height, width = small_hw.shape
    step = max(1, int(np.sqrt(small_hw.size / ENOUGH)))
    y, x = np.mgrid[0:height:step, 0:width:step]
    chosen = is_ground_hw[::step, ::step]
    if chosen.sum() < 24:  # four times the coefficients
        return np.full(small_hw.shape, np.median(small_hw), dtype=np.float32)
    u, v = (x / max(width - 1, 1) * 2 - 1)[chosen], (y / max(height - 1, 1) * 2 - 1)[chosen]
    terms = _terms(u, v)
    ridge = 1e-9 * len(terms) * np.eye(terms.shape[1])
    found = np.linalg.solve(terms.T @ terms + ridge, terms.T @ small_hw[::step, ::step][chosen].astype(np.float64))
    across, down = np.linspace(-1, 1, width)[None], np.linspace(-1, 1, height)[:, None]
    a, b, c, d, e, f = (float(value) for value in found)
    level: Plane = (a + b * across + c * down + d * across**2 + e * across * down + f * down**2).astype(np.float32)
    return level


def _terms(u: npt.NDArray[np.float64], v: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=1)


def _threshold(away_hw: Plane, is_ground_hw: Mask) -> float:
    """Return the distance from the ground beyond which something stands out: by Otsu, above the noise."""
    top = max(float(away_hw.max()), 1e-6)
    scaled = np.clip(away_hw * (255.0 / top), 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(scaled, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return max(DEPTH * float(level) / 255.0 * top, NOISE * _spread(away_hw[is_ground_hw]), FAINT)


def _spread(values: npt.NDArray[np.floating]) -> float:
    """Return a standard deviation from the median size of values around 0."""
    few = values[:: max(1, values.size // ENOUGH)]
    return 1.4826 * float(np.median(np.abs(few))) if values.size else 0.0


def _shrunk(mask_hw: Mask) -> Mask:
    """Keep off the blurred rim of what stands out."""
    shrunk: Mask = cv2.erode(mask_hw.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return shrunk
