"""What of a defect lies in each zone, measured by itself: a defect across a border counts on both sides of it.

Letters: P pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from .extents import extents_of, largest_diameter, smallest_rectangle

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from .image_scale import ImageScale

Parts: TypeAlias = "Mapping[str, Mapping[str, float | None]]"
CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def parts_by_zone(
    pixels_P2: npt.NDArray[np.int64], zones_HW: npt.NDArray[np.uint8], scale: ImageScale
) -> dict[str, dict[str, float | None]]:
    """Measure the part of a defect in each zone that it touches: area, length, width and size, in micrometres too.

    Args:
        pixels_P2: Row and column of its pixels.
        zones_HW: Zone ids; 0 is not a zone.
        scale: From these pixels to those on disk.
    """
    zone_P = zones_HW[pixels_P2[:, 0], pixels_P2[:, 1]]
    return {str(zone): _measures(pixels_P2[zone_P == zone], scale) for zone in np.unique(zone_P).tolist() if zone}


def _measures(pixels_P2: npt.NDArray[np.int64], scale: ImageScale) -> dict[str, float | None]:
    size_2 = np.array([scale.x, scale.y])
    centre_P2 = (pixels_P2[:, ::-1] + 0.5) * size_2
    corners = np.concatenate([centre_P2 + size_2 / 2 * sign for sign in CORNERS])
    length, width, _ = smallest_rectangle(corners)
    area = len(pixels_P2) * scale.x * scale.y
    return extents_of(area, length, width, largest_diameter(corners), scale.um_per_pixel)
