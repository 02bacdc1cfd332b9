"""Defects planted into an array's own good cells: how far a defect of moderate severity takes them from the reference.

What is planted is as faint as must still be found. It never sees a label, and shares no code with the drawn arrays.

Letters: N cells, S side of a cell in pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from .alignment import radius_grid, shifted

if TYPE_CHECKING:
    from collections.abc import Callable

    from .measures import Gauge

Plane = npt.NDArray[np.float32]

FADE = (0.5, 0.8)  # share of a missing pillar that is gone
DARK = (0.5, 0.65)  # of the ground's light that the disc of a collapsed pillar takes, before its opacity
OPACITY = (0.45, 0.7)
SHIFT = (0.06, 0.12)  # of the cell's side: how far the far side of a seam is moved
LINE = (0.08, 0.14)  # of the light that the line of a seam takes
LOBES = (0.10, 0.18)  # of the radius: how far an irregular outline moves in and out
WAVES = (2, 3, 4)  # lobes of an irregular outline


def plant(
    kind: str, relief_NSS: Plane, offset_N2: npt.NDArray[np.floating], gauge: Gauge, rng: np.random.Generator
) -> Plane:
    """Plant one kind of defect into every cell given.

    Args:
        kind: ``Missing``, ``Collapsed``, ``Stitching`` or ``Irregular``.
        relief_NSS: Relief of good cells, as they lie.
        offset_N2: Where their pillars stand, from the middle, x before y.
        gauge: Of the array.
        rng: Decides severities and places.
    """
    planted = [
        _PLANT[kind](cell, float(x), float(y), gauge, rng) for cell, (x, y) in zip(relief_NSS, offset_N2, strict=True)
    ]
    return np.stack(planted).astype(np.float32)


def _missing(cell_SS: Plane, x: float, y: float, gauge: Gauge, rng: np.random.Generator) -> Plane:
    """Fade the pillar; the noise stays."""
    return _faded(cell_SS, x, y, gauge.radius, rng.uniform(*FADE))


def _collapsed(cell_SS: Plane, x: float, y: float, gauge: Gauge, rng: np.random.Generator) -> Plane:
    """Lay a dark disc over the pillar."""
    if gauge.dark_ground:  # it must be seen against the ground, beside which any pillar is bright
        cell_SS = _faded(cell_SS, x, y, gauge.radius, 1.0)
    disc = _inside(cell_SS, x, y, gauge.radius * rng.uniform(0.9, 1.15), 0.1 * gauge.radius)
    opacity = rng.uniform(*OPACITY) * disc
    return np.asarray(cell_SS + opacity * (-rng.uniform(*DARK) * gauge.depth - cell_SS), dtype=np.float32)


def _stitching(cell_SS: Plane, x: float, y: float, gauge: Gauge, rng: np.random.Generator) -> Plane:
    """Move all that lies beyond a line through the pillar, and darken the line."""
    side = cell_SS.shape[0]
    upright = rng.random() < 0.5
    place = (side - 1) / 2 + (x if upright else y) + rng.uniform(-0.4, 0.4) * gauge.radius
    step = rng.choice([-1.0, 1.0]) * rng.uniform(*SHIFT) * side
    slide = rng.uniform(-0.4, 0.4) * abs(step)
    moved = shifted(cell_SS, *((slide, step) if upright else (step, slide)))
    line = np.arange(side) - place
    beyond = np.clip(line + 0.5, 0, 1)
    dark = np.exp(-((line / 0.8) ** 2)) * rng.uniform(*LINE)
    beyond, dark = (beyond, dark) if upright else (beyond[:, None], dark[:, None])
    joined = cell_SS + beyond * (moved - cell_SS)
    return np.asarray((gauge.depth + joined) * (1 - dark) - gauge.depth, dtype=np.float32)


def _irregular(cell_SS: Plane, x: float, y: float, gauge: Gauge, rng: np.random.Generator) -> Plane:
    """Bend the outline into lobes: what lies near it is moved in and out along the radius."""
    side, radius = cell_SS.shape[0], gauge.radius
    axis = np.arange(side) - (side - 1) / 2
    right_SS, down_SS = np.meshgrid(axis - x, axis - y)
    distance = np.hypot(right_SS, down_SS)
    angle = np.arctan2(down_SS, right_SS)
    weights = rng.dirichlet(np.ones(len(WAVES))) * 1.5
    wave = sum(
        weight * np.cos(count * angle + rng.uniform(0, 2 * math.pi))
        for weight, count in zip(weights, WAVES, strict=True)
    )
    reach = np.exp(-0.5 * (np.maximum(distance - radius, 0) / (0.35 * radius)) ** 2)
    pull = 1 - rng.uniform(*LOBES) * wave * reach
    from_x = (right_SS * pull + x + (side - 1) / 2).astype(np.float32)
    from_y = (down_SS * pull + y + (side - 1) / 2).astype(np.float32)
    bent = cv2.remap(cell_SS, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(bent, dtype=np.float32)


def _faded(cell_SS: Plane, x: float, y: float, radius: float, share: float) -> Plane:
    """Fade a pillar by a share; the noise stays."""
    smooth = cv2.GaussianBlur(cell_SS, (0, 0), 1.0)
    return np.asarray(cell_SS - share * _inside(cell_SS, x, y, 1.5 * radius, 0.25 * radius) * smooth, dtype=np.float32)


def _inside(cell_SS: Plane, x: float, y: float, radius: float, soft: float) -> npt.NDArray[np.floating]:
    """Return 1 within ``radius`` of the pillar's middle, falling to 0 over ``soft`` pixels to each side."""
    side = cell_SS.shape[0]
    distance = radius_grid(side) if x == y == 0 else _distance(side, x, y)
    return np.asarray(np.clip(0.5 - (distance - radius) / (2 * max(soft, 0.5)), 0, 1))


def _distance(side: int, x: float, y: float) -> npt.NDArray[np.floating]:
    axis = np.arange(side) - (side - 1) / 2
    return np.asarray(np.hypot(axis[:, None] - y, axis[None, :] - x))


_PLANT: dict[str, Callable[[Plane, float, float, Gauge, np.random.Generator], Plane]] = {
    "Missing": _missing,
    "Collapsed": _collapsed,
    "Stitching": _stitching,
    "Irregular": _irregular,
}
