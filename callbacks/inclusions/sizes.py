"""How large inclusions are: their number, share of the area and diameters.

Letters: N inclusions.

Source of the quantities: ASTM E1245 (area fraction, number per area, mean area), as its public summary names them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .gaps import Floats

QUANTILES = {"d10": 10, "median": 50, "d90": 90, "d99": 99}


def size_distribution(
    area_N: Floats, shape: tuple[int, int], um_per_pixel: float | None = None
) -> dict[str, float | int | list[list[float]]]:
    """Describe the sizes of the inclusions of a map.

    Args:
        area_N: In pixels.
        shape: Height and width of the map in pixels.
        um_per_pixel: Micrometres per pixel; None: lengths are in pixels, and nothing is said per square millimetre.

    Returns:
        ``count``; ``area_fraction``, in [0, 1]; diameters of circles of the inclusions' areas, in micrometres or
        pixels: ``mean``, ``median``, ``d10``, ``d90``, ``d99``, ``largest``; ``classes``: least diameter, diameter it
        stays below (twice that), and number, where there are any; with a scale ``per_mm2`` and ``um_per_pixel``.
    """
    scale = um_per_pixel or 1.0
    diameter_N = np.sqrt(4 * area_N / np.pi) * scale
    found: dict[str, float | int | list[list[float]]] = {
        "count": len(area_N),
        "area_fraction": float(area_N.sum()) / (shape[0] * shape[1]),
    }
    if um_per_pixel:
        found |= {"um_per_pixel": scale, "per_mm2": len(area_N) / (shape[0] * shape[1] * scale**2 / 1e6)}
    if len(area_N):
        found |= {"mean": float(diameter_N.mean()), "largest": float(diameter_N.max())}
        found |= {name: float(np.percentile(diameter_N, share)) for name, share in QUANTILES.items()}
        found["classes"] = _classes(diameter_N)
    return found


def _classes(diameter_N: Floats) -> list[list[float]]:
    """Count diameters in classes of powers of two."""
    power_N = np.floor(np.log2(diameter_N)).astype(int)
    return [
        [float(2.0**power), float(2.0 ** (power + 1)), int((power_N == power).sum())] for power in np.unique(power_N)
    ]
