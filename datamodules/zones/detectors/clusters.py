"""Brightness clusters: the part of the image that is darker than a level, made whole, where it is round.

Levels come from k-means on the grey values of the image, evened out first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from datamodules.zones.detectors import Circle
from datamodules.zones.ellipse import Ellipse, Plane, fit_ellipse, spread

if TYPE_CHECKING:
    from datamodules.zones.view import View

LEVELS = 3
MINIMUM = 0.01  # of the image: smaller regions are no cladding
ROUND = 0.05  # of the radius: edges that scatter more make no circle


def detect(view: View) -> Circle | None:
    """Take the roundest region that is darker than a level between clusters."""
    small_hw = np.asarray(cv2.medianBlur(even(view.small_hw), 5), dtype=np.float32)
    best: Circle | None = None
    for level in _levels(small_hw):
        circle = _roundest(small_hw < level)
        if circle is not None and (best is None or circle.confidence > best.confidence):
            best = circle
    return best


def even(small_hw: Plane) -> Plane:
    """Take out what a plane of light explains, so that one level means one thing everywhere."""
    height, width = small_hw.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, y * y], axis=-1)[::4, ::4].reshape(-1, 5)
    values = small_hw[::4, ::4].ravel()
    bright = values > np.median(values) - 2.5 * spread(values - np.median(values))  # mostly the ferrule
    scale, *_ = np.linalg.lstsq(terms[bright], values[bright], rcond=None)
    light = scale[0] + scale[1] * x + scale[2] * y + scale[3] * x * x + scale[4] * y * y
    return np.asarray(small_hw / np.maximum(light, 0.2 * abs(scale[0]) + 1e-6), dtype=np.float32)


def _levels(small_hw: Plane) -> list[float]:
    values = np.sort(small_hw[::3, ::3].ravel())
    centre = np.quantile(values, np.linspace(0.05, 0.95, LEVELS)) + np.arange(LEVELS) * 1e-6
    for _ in range(15):
        nearest = np.abs(values[:, None] - centre).argmin(axis=1)
        centre = np.array([values[nearest == k].mean() if (nearest == k).any() else centre[k] for k in range(LEVELS)])
    middle = (float(values[0]) + float(values[-1])) / 2
    return [*((centre[1:] + centre[:-1]) / 2).tolist(), middle]


def _roundest(dark_hw: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Circle | None:
    count, label_hw = cv2.connectedComponents(dark_hw.astype(np.uint8), connectivity=4)
    area = np.bincount(label_hw.ravel(), minlength=count)[1:]
    best: Circle | None = None
    for number in np.argsort(-area)[:4]:
        if area[number] < MINIMUM * dark_hw.size:
            break
        circle = _fitted((label_hw == number + 1).astype(np.uint8))
        if circle is not None and (best is None or circle.confidence > best.confidence):
            best = circle
    return best


def _fitted(region_hw: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Circle | None:
    """Fit an ellipse to a region's outline, without what lies on the border of the image."""
    contours, _ = cv2.findContours(region_hw, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    x, y = max(contours, key=len)[:, 0].astype(np.float64).T
    height, width = region_hw.shape
    inner = (x > 1) & (y > 1) & (x < width - 2) & (y < height - 2)
    if inner.sum() < 24:
        return None
    x, y = x[inner], y[inner]
    (cx, cy), radius = cv2.minEnclosingCircle(np.stack([x, y], axis=1).astype(np.float32))
    shape, away = fit_ellipse(x, y, Ellipse(cx, cy, max(radius * 0.97, 2.0)), stretched=bool(inner.mean() > 0.9))
    scatter = spread(away) / shape.radius
    on_it = float((np.abs(away) < 0.04 * shape.radius).mean())
    if scatter > ROUND or on_it < 0.5 or not 0.7 < shape.aspect < 1.4 or shape.radius > max(height, width):
        return None
    return Circle(shape, None, on_it * float(inner.mean()) ** 0.5)
