"""Sizes of a patch: its largest Feret diameter, its length along a bent axis, and the width of a scratch.

Letters: P points, S places along a scratch, T steps across it. Lengths are micrometres where the scale is, else pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .half_depth import Plane

Floats: TypeAlias = npt.NDArray[np.float64]

BENT = 1.6  # times its span, that a bent line is long: half a circle is; the middles of a blob's slices zigzag
BIN = 2.0  # pixels along the main axis that give one point of a bent axis
PLACES = 400  # of a scratch at which its width is looked at, at most
ACROSS = 0.25  # pixels
BESIDE = 6.0  # pixels beside a scratch that say what its ground is like
FEWEST = 4  # places with a width


class Scale(NamedTuple):
    """Units (micrometres, or pixels where nobody knows them) per pixel of the image on disk."""

    x: float = 1.0
    y: float = 1.0


def feret(x_P: Floats, y_P: Floats, scale: Scale, step: float) -> float:
    """Return the largest distance between two points of a region: its largest Feret diameter.

    Args:
        x_P: Centres of its pixels, in pixels on disk.
        y_P: The same.
        scale: Units per pixel.
        step: Side of a pixel of the region, in pixels on disk.
    """
    if not len(x_P):
        return 0.0
    point_P2 = np.stack([x_P * scale.x, y_P * scale.y], axis=1)
    hull_P2 = cv2.convexHull((point_P2 - point_P2.mean(axis=0)).astype(np.float32))[:, 0].astype(np.float64)
    apart = hull_P2[:, None] - hull_P2[None]
    return float(np.sqrt((apart**2).sum(axis=2)).max()) + step * (scale.x + scale.y) / 2


class Axis(NamedTuple):
    """The bent middle line of a region.

    Attributes:
        x_S: In pixels on disk.
        y_S: The same.
        length: In units.
    """

    x_S: Floats
    y_S: Floats
    length: float


def middle_line(x_P: Floats, y_P: Floats, scale: Scale, step: float) -> Axis:
    """Return the middle line of a region, by the means of its pixels in slices across its main axis."""
    u_P, v_P = x_P * scale.x, y_P * scale.y
    centred = np.stack([u_P - u_P.mean(), v_P - v_P.mean()])
    spread, axes = np.linalg.eigh(centred @ centred.T / len(u_P))
    along_P = axes[:, int(np.argmax(spread))] @ centred
    unit = (scale.x + scale.y) / 2
    slices = max(int(np.ptp(along_P) / (BIN * unit)), 1)
    bin_P = np.minimum(((along_P - along_P.min()) / (np.ptp(along_P) + 1e-9) * slices).astype(int), slices - 1)
    count_S = np.bincount(bin_P, minlength=slices)
    filled_S = count_S > 0
    x_S, y_S = (
        np.bincount(bin_P, weights=values, minlength=slices)[filled_S] / count_S[filled_S] for values in (x_P, y_P)
    )
    x_S, y_S = _smoothed(x_S), _smoothed(y_S)
    bent = float(np.hypot(np.diff(x_S) * scale.x, np.diff(y_S) * scale.y).sum())
    ends = float(np.ptp(along_P)) / slices + step * unit
    straight = float(np.ptp(along_P)) + step * unit
    return Axis(x_S, y_S, min(max(bent + ends, straight), BENT * straight))


def _smoothed(value_S: Floats) -> Floats:
    """Take a running mean of five; the ends stay."""
    if len(value_S) < 7:
        return value_S
    smooth = np.convolve(value_S, np.full(5, 0.2), mode="same")
    smooth[:2], smooth[-2:] = value_S[:2], value_S[-2:]
    return np.asarray(smooth, dtype=np.float64)


def widths(plane_HW: Plane, axis: Axis, sign: float, rough: float, scale: Scale) -> tuple[Floats, Floats, Floats]:
    """Return the width at half depth at places along a scratch.

    Args:
        plane_HW: The image, grey.
        axis: Of the scratch.
        sign: 1 where it is bright, -1 where it is dark.
        rough: Its width as far as it is known, in pixels on disk.
        scale: Units per pixel.

    Returns:
        (S,) x and y in pixels on disk, and widths in units; NaN where there is none to be seen.
    """
    every = max(len(axis.x_S) // PLACES, 1)
    x_S, y_S = axis.x_S[::every], axis.y_S[::every]
    if len(x_S) < 3:
        return x_S, y_S, np.full(len(x_S), np.nan)
    along_x, along_y = np.gradient(x_S * scale.x), np.gradient(y_S * scale.y)
    long_S = np.hypot(along_x, along_y) + 1e-12
    normal_x, normal_y = -along_y / long_S, along_x / long_S  # in units
    unit = (scale.x + scale.y) / 2
    half = rough / 2 + BESIDE
    at_T = np.arange(-half, half + ACROSS, ACROSS)  # pixels of the mean scale
    x_ST = x_S[:, None] + normal_x[:, None] * at_T * unit / scale.x - 0.5
    y_ST = y_S[:, None] + normal_y[:, None] * at_T * unit / scale.y - 0.5
    value_ST = sign * cv2.remap(
        plane_HW, x_ST.astype(np.float32), y_ST.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    smooth_ST = cv2.blur(value_ST, (1, min(7, len(x_S) | 1)))
    return x_S, y_S, np.array([_half_width(value_T, at_T, rough) for value_T in smooth_ST]) * unit


def _half_width(value_T: npt.NDArray[np.floating], at_T: Floats, rough: float) -> float:
    """Return the width of one profile at half of its depth, in its own steps; NaN where it has none."""
    beside = np.abs(at_T) > rough / 2 + BESIDE / 2
    ground = float(np.median(value_T[beside]))
    middle = np.abs(at_T) <= rough / 2 + 0.5
    place = int(np.flatnonzero(middle)[np.argmax(value_T[middle])])
    depth = float(value_T[place]) - ground
    noise = float(np.std(value_T[beside]))
    if depth <= max(3.0 * noise, 1e-6):
        return float("nan")
    plateau = value_T[middle & (value_T - ground > 0.5 * depth)]
    level = ground + 0.5 * (float(np.percentile(plateau, 85)) - ground)
    left, right = _crossing(value_T[place::-1], level), _crossing(value_T[place:], level)
    return float("nan") if left is None or right is None else (left + right) * float(at_T[1] - at_T[0])


def _crossing(value_T: npt.NDArray[np.floating], level: float) -> float | None:
    """Return how many steps lead from the first value down to a line, between steps; None where none does."""
    below = np.flatnonzero(value_T < level)
    if not len(below) or below[0] == 0:
        return None
    last = int(below[0])
    over, under = float(value_T[last - 1]), float(value_T[last])
    return last - 1 + (over - level) / (over - under)
