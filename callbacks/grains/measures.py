"""All that is said of the grains of an image, and of several together.

Letters: H and W height and width of the image in pixels, B blocks of an image, N images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import stats

from .closing import boundaries_of, bridged_share, open_share
from .counting import (
    DIRECTIONS,
    intercepts,
    number_by_count,
    number_by_intercept,
    planimetry,
    whole_areas,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from .closing import Grains, Mask

Facts: TypeAlias = "dict[str, float | int | dict[str, float] | list[float] | None]"

BLOCKS = 3  # by as many, that an image is cut to for its own interval
CONFIDENCE = 0.95
QUANTILES = (10, 25, 50, 75, 90)


def grain_facts(
    grain_HW: Grains, line_HW: Mask | None = None, um_per_pixel: float | None = None, *, rim_HW: Mask | None = None
) -> Facts:
    """Measure closed grains.

    Args:
        grain_HW: As ``closing`` returns them.
        line_HW: The lines that were marked; None where grains are all there is.
        um_per_pixel: Micrometres per pixel; None: no grain size numbers, which need a scale.
        rim_HW: Of drawn lines, see ``closing.rim_of_lines``.

    Returns:
        ``mean_intercept_px``, its interval at 95 % by blocks of the image (``mean_intercept_interval_px``, None where
        the image is too small), ``by_direction_px``, ``anisotropy``; ``grains_inside``, ``grains_cut``,
        ``grains_per_megapixel``; ``diameters_px`` of whole grains (of circles of their areas: count, mean and
        quantiles); with lines ``open_share`` and ``bridged_share``; with a scale ``mean_intercept_um``, ``G_heyn``,
        ``grains_per_mm2`` and ``G_planimetric``. What cannot be said is None.
    """
    counted, plane = intercepts(grain_HW, rim_HW), planimetry(grain_HW)
    mean = counted.mean()
    met = np.isfinite(mean)
    facts: Facts = {
        "mean_intercept_px": mean if met else None,
        "mean_intercept_interval_px": block_interval(grain_HW),
        "by_direction_px": {name: counted.mean(name) for name in DIRECTIONS if counted.met[name]},
        "anisotropy": counted.anisotropy if np.isfinite(counted.anisotropy) else None,
        "grains_inside": plane.inside,
        "grains_cut": plane.cut,
        "grains_per_megapixel": plane.per_pixel * 1e6,
        "diameters_px": _diameters(grain_HW),
    }
    if line_HW is not None:
        about = line_HW, grain_HW, boundaries_of(grain_HW)
        facts |= {"open_share": open_share(*about), "bridged_share": bridged_share(*about)}
    if um_per_pixel:
        per_mm2 = plane.per_pixel / (um_per_pixel / 1000) ** 2
        facts |= {
            "um_per_pixel": um_per_pixel,
            "mean_intercept_um": mean * um_per_pixel if met else None,
            "G_heyn": number_by_intercept(mean * um_per_pixel / 1000) if met else None,
            "grains_per_mm2": per_mm2,
            "G_planimetric": number_by_count(per_mm2),
        }
    return facts


def _diameters(grain_HW: Grains) -> dict[str, float]:
    """Describe the diameters of whole grains; nothing but their number where there are none."""
    diameter_G = np.sqrt(4 * whole_areas(grain_HW) / np.pi)
    if not len(diameter_G):
        return {"count": 0}
    quantiles = {f"d{share}": float(np.percentile(diameter_G, share)) for share in QUANTILES}
    return {"count": len(diameter_G), "mean": float(diameter_G.mean())} | quantiles


def block_interval(grain_HW: Grains, blocks: int = BLOCKS) -> list[float] | None:
    """Return an interval of the mean intercept of one image, in pixels, from how its blocks differ.

    None where a block meets no boundary.
    """
    parts = [
        part for rows in np.array_split(grain_HW, blocks) for part in np.array_split(rows, blocks, axis=1) if part.size
    ]
    if min(min(part.shape) for part in parts) < 2:
        return None
    mean_B = np.array([intercepts(part).mean() for part in parts])
    return interval(mean_B) if np.isfinite(mean_B).all() else None


def interval(value_N: npt.NDArray[np.float64]) -> list[float] | None:
    """Return Student's interval of a mean at 95 %; None for fewer than two values."""
    if len(value_N) < 2:
        return None
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(value_N) - 1) * value_N.std(ddof=1) / np.sqrt(len(value_N)))
    return [float(value_N.mean()) - half, float(value_N.mean()) + half]


def over_images(facts: Mapping[str, Facts]) -> dict[str, float | int | list[float] | None]:
    """Return the mean of the grain sizes of several images, with intervals by image."""
    found: dict[str, float | int | list[float] | None] = {"images": len(facts)}
    for name in ("mean_intercept_px", "mean_intercept_um", "G_heyn", "G_planimetric"):
        values = numbers(one.get(name) for one in facts.values())
        if len(values):
            found |= {name: float(values.mean()), f"{name}_interval": interval(values)}
    return found


def numbers(values: Iterable[object]) -> npt.NDArray[np.float64]:
    """Return those of some values that are numbers."""
    return np.array([value for value in values if isinstance(value, int | float)], np.float64)
