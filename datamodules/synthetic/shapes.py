"""Antialiased shapes: how much of every pixel a polygon, a line or an ellipse covers.

Points are x before y, in pixels, with whole numbers at the pixels' centres. Angles are in radians. Shapes are drawn
four times as large, within their bounding box only, and averaged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .drawing import floats

if TYPE_CHECKING:
    import numpy.typing as npt

    from .drawing import Bytes, Floats

SUPERSAMPLING = 4


@dataclass(frozen=True)
class _Canvas:
    """The part of an image that shapes can touch, supersampled, and the shapes' points on it."""

    size: int
    left: int
    top: int
    fine: Bytes
    outlines: list[npt.NDArray[np.int32]]

    def coverage(self) -> Floats:
        """Return what was drawn as a (size, size) coverage."""
        plane = np.zeros((self.size, self.size), dtype=np.float32)
        height, width = self.fine.shape[0] // SUPERSAMPLING, self.fine.shape[1] // SUPERSAMPLING
        if height and width:
            coarse = cv2.resize(self.fine, (width, height), interpolation=cv2.INTER_AREA)
            plane[self.top : self.top + height, self.left : self.left + width] = floats(coarse) / 255.0
        return plane


def filled(size: int, *polygons: Floats) -> Floats:
    """Return the (size, size) coverage in [0, 1] of the union of filled polygons, each (P, 2)."""
    canvas = _canvas(size, list(polygons), margin=1.0)
    for outline in (
        canvas.outlines if canvas.fine.size else ()
    ):  # one by one: together, OpenCV leaves out where two overlap
        cv2.fillPoly(canvas.fine, [outline], 255)
    return canvas.coverage()


def stroked(size: int, lines: list[Floats], widths: list[float]) -> Floats:
    """Return the (size, size) coverage in [0, 1] of polylines, each (P, 2), drawn ``widths`` pixels wide.

    The width is rounded to a quarter of a pixel, and is at least that.
    """
    canvas = _canvas(size, lines, margin=max(widths) + 1.0)
    for line, width in zip(canvas.outlines, widths, strict=True) if canvas.fine.size else ():
        cv2.polylines(canvas.fine, [line], isClosed=False, color=255, thickness=max(round(width * SUPERSAMPLING), 1))
    return canvas.coverage()


def ellipses(size: int, centres: Floats, radii: Floats, angles: Floats) -> Floats:
    """Return the (size, size) coverage of filled ellipses: centres (N, 2), half axes (N, 2), angles (N,)."""
    turn = np.linspace(0.0, 2.0 * math.pi, 16, endpoint=False, dtype=np.float32)
    along, across = radii[:, :1] * np.cos(turn), radii[:, 1:] * np.sin(turn)
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    outline = np.stack([along * cosine - across * sine, along * sine + across * cosine], axis=2)
    return filled(size, *floats(centres[:, None] + outline))


def blob(
    rng: np.random.Generator, centre: tuple[float, float], radius: float, roughness: float, stretch: float = 1.0
) -> Floats:
    """Return the (48, 2) outline of an irregular blob.

    Args:
        rng: Decides the shape.
        centre: x and y.
        radius: Mean radius.
        roughness: 0 for an ellipse, about 0.5 for a jagged flake.
        stretch: Ratio of the axes.
    """
    angle = np.linspace(0.0, 2.0 * math.pi, 48, endpoint=False)
    wave = np.arange(2, 9)[:, None]
    strength = roughness * rng.standard_normal((7, 1)) / wave**0.8
    reach = 1.0 + (strength * np.cos(wave * angle + rng.uniform(0.0, 2.0 * math.pi, (7, 1)))).sum(axis=0)
    reach = radius * np.clip(reach, 0.35, 1.9)
    turn = rng.uniform(0.0, math.pi)
    along, across = reach * np.cos(angle) * stretch**0.5, reach * np.sin(angle) / stretch**0.5
    x = centre[0] + along * math.cos(turn) - across * math.sin(turn)
    y = centre[1] + along * math.sin(turn) + across * math.cos(turn)
    return floats(np.stack([x, y], axis=1))


def scaled(outline: Floats, centre: tuple[float, float], factor: float, shift: float = 0.0) -> Floats:
    """Return a (P, 2) outline scaled about ``centre``, then moved right and down by ``shift``."""
    middle = floats(centre)
    return floats((outline - middle) * factor + middle + shift)


def wander(rng: np.random.Generator, start: tuple[float, float], angle: float, length: float, bend: float) -> Floats:
    """Return a (33, 2) curve that leaves ``start`` towards ``angle``, turning by about ``bend`` radians on its way."""
    steps = 32
    turning = bend * (rng.standard_normal() + 0.4 * rng.standard_normal(steps).cumsum() / steps**0.5)
    heading = angle + turning * np.linspace(0.0, 1.0, steps)
    moves = np.stack([np.cos(heading), np.sin(heading)], axis=1) * (length / steps)
    return floats(np.concatenate([np.zeros((1, 2)), moves.cumsum(axis=0)]) + start)


def _canvas(size: int, outlines: list[Floats], margin: float) -> _Canvas:
    if not outlines:
        return _Canvas(size, 0, 0, np.zeros((0, 0), dtype=np.uint8), [])
    points = np.concatenate(outlines)
    low = np.clip(np.floor(points.min(axis=0) - margin), 0, size).astype(np.int32)
    high = np.clip(np.ceil(points.max(axis=0) + margin) + 1, low, size).astype(np.int32)
    width, height = (high - low) * SUPERSAMPLING
    fine_points = np.round((points - low + 0.5) * SUPERSAMPLING - 0.5).astype(np.int32)
    ends = np.cumsum([len(outline) for outline in outlines])[:-1]
    fine = np.zeros((int(height), int(width)), dtype=np.uint8)
    return _Canvas(size, int(low[0]), int(low[1]), fine, np.split(fine_points, ends))
