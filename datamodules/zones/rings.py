"""Rings about a given centre: steps of brightness at one distance in all directions.

Letters: A rays, T steps along them, R rings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .rays import along_rays, steps

if TYPE_CHECKING:
    from .ellipse import Ellipse, Plane

COHERENT = 0.72  # share of rays that must see a step of the ring's sign and of at least a third of its size


class Ring(NamedTuple):
    """A ring.

    Attributes:
        at: Its radius, in radii of the ellipse that the rays were laid by.
        contrast: Brightness outside minus inside.
        coherence: Share of the visible rays that see it, 0 to 1.
        significance: Contrast over the standard deviation that the rays' scatter gives it.
    """

    at: float
    contrast: float
    coherence: float
    significance: float


def rings(plane_HW: Plane, shape: Ellipse, low: float, high: float, half: float) -> list[Ring]:
    """Find rings from ``low`` to ``high`` radii of ``shape``, strongest first.

    Args:
        plane_HW: The image.
        shape: Centre, and what stretches a ring.
        low: In radii.
        high: In radii.
        half: Radii on either side over which brightness is averaged: two rings nearer than that are one.
    """
    step = min(half / 4, 1.0 / shape.radius)
    at_T = np.arange(max(low - half, step), high + half, step)
    value_AT, seen_AT = along_rays(plane_HW, shape, at_T, 180)
    step_AT, whole_AT = steps(value_AT, seen_AT, max(round(half / step), 1))
    shown_T = whole_AT.sum(axis=0)
    usable = shown_T >= 18
    masked = np.where(whole_AT > 0, step_AT, np.nan)[:, usable]
    if masked.size == 0:
        return []
    at_T, shown_T = at_T[usable], shown_T[usable]
    contrast_T = np.nanmedian(masked, axis=0)
    share_T = np.nansum(masked * np.sign(contrast_T) > abs(contrast_T) / 3, axis=0) / shown_T
    noise_T = 1.4826 * np.nanmedian(np.abs(masked - contrast_T), axis=0) / np.sqrt(shown_T)
    found = [  # the step of a place lies before it: its inner mean ends there, its outer one begins with it
        Ring(
            float(at_T[t] - step / 2),
            float(contrast_T[t]),
            float(share_T[t]),
            float(abs(contrast_T[t]) / (noise_T[t] + 1e-6)),
        )
        for t in _peaks(np.abs(contrast_T), max(round(half / step), 1))
        if low <= at_T[t] - step / 2 <= high
    ]
    return sorted(found, key=lambda ring: -abs(ring.contrast))


def _peaks(height_T: Plane, apart: int) -> list[int]:
    """Return where a curve is higher than everything within ``apart`` steps, its ends left out."""
    return [
        t
        for t in range(1, len(height_T) - 1)
        if height_T[t] == height_T[max(t - apart, 0) : t + apart + 1].max() and height_T[t] > 0
    ]
