"""An end face as it differs from itself: what a fiber looks like at a distance from its own axis, taken away.

That silences the borders of core and cladding, which any local filter would mark, where the zones are found on the
image. Where they are not, the image stays as it is.

Letters: H and W pixels, T distances from the axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from datamodules.zones.finding import find_zones
from datamodules.zones.masks import zone_map
from datamodules.zones.rays import along_rays

if TYPE_CHECKING:
    from datamodules.zones.ellipse import Ellipse

Plane: TypeAlias = npt.NDArray[np.float32]
Where: TypeAlias = Literal["find", "none"]

UNKNOWN_RADIUS = 1 / 6  # of the shorter side: a cladding's radius where none is found (real images: 144 of 864)
FEWEST_RAYS = 20  # that reach a distance before their median says what is usual there
FLOOR = 0.5  # grey levels: rounding to 8 bits leaves no zone quieter
FEWEST_PIXELS = 100  # of a zone before it has a scatter of its own


class FaceView(NamedTuple):
    """What the detectors of an end face look at.

    Attributes:
        flat_HW: Grey levels of 0 to 255, less what is usual at a pixel's distance from the axis.
        zone_HW: 1 core, 2 cladding, 3 ferrule; all 3 where no cladding was found.
        judged_HW: False where zones meet, since their borders look like defects.
        radius: Of the cladding, in pixels: the unit of the detectors' lengths.
    """

    flat_HW: Plane
    zone_HW: npt.NDArray[np.uint8]
    judged_HW: npt.NDArray[np.bool_]
    radius: float


def view_face(grey_HW: Plane, zones: Where, border: float) -> FaceView:
    """Look at an end face.

    Args:
        grey_HW: In grey levels of 0 to 255.
        zones: Whether to find them.
        border: Of the cladding's radius, on both sides of where zones meet: not judged.
    """
    found = find_zones(np.clip(grey_HW, 0, 255).astype(np.uint8)) if zones == "find" else None
    if found is None or found.cladding is None:
        everywhere = np.ones(grey_HW.shape, dtype=np.bool_)
        plain = np.full(grey_HW.shape, 3, dtype=np.uint8)
        return FaceView(grey_HW, plain, everywhere, UNKNOWN_RADIUS * min(grey_HW.shape))
    height, width = grey_HW.shape
    x, y = np.arange(width)[None] + 0.5, np.arange(height)[:, None] + 0.5
    judged = np.ones(grey_HW.shape, dtype=np.bool_)
    for shape in (found.cladding, found.core):
        if shape is not None:
            away = np.abs(shape.distance(x, y) - 1.0) * shape.radius
            judged &= away > border * found.cladding.radius
    zone_HW = zone_map(found.cladding, found.core, (height, width))
    return FaceView(without_profile(grey_HW, found.cladding), zone_HW, judged, found.cladding.radius)


def without_profile(grey_HW: Plane, cladding: Ellipse) -> Plane:
    """Take away from every pixel the median of those at its distance from the axis.

    Args:
        grey_HW: The image.
        cladding: In pixels whose (0, 0) is the outer corner of the image.
    """
    height, width = grey_HW.shape
    x, y = np.arange(width)[None] + 0.5, np.arange(height)[:, None] + 0.5
    distance_HW = cladding.distance(x, y)
    at_T = np.arange(0.0, float(distance_HW.max()) + 1.0 / cladding.radius, 1.0 / cladding.radius)
    value_AT, seen_AT = along_rays(grey_HW, cladding.moved(-0.5, -0.5), at_T)
    reached_T = seen_AT.sum(axis=0) >= FEWEST_RAYS
    hidden_AT = np.where(seen_AT[:, reached_T] > 0, value_AT[:, reached_T], np.nan)
    usual_T = np.nanmedian(hidden_AT, axis=0) if reached_T.any() else np.array([float(np.median(grey_HW))])
    at_T = at_T[reached_T] if reached_T.any() else np.zeros(1)
    return np.asarray(grey_HW - np.interp(distance_HW, at_T, usual_T), dtype=np.float32)


def standardised(response_HW: Plane, face: FaceView) -> Plane:
    """Return a response in robust standard deviations of its zone above that zone's median; 0 where not judged."""
    result_HW: Plane = np.zeros_like(response_HW)
    for zone in np.unique(face.zone_HW):
        inside = (face.zone_HW == zone) & face.judged_HW
        sample = response_HW[inside] if inside.sum() >= FEWEST_PIXELS else response_HW[face.judged_HW]
        if not sample.size:
            continue
        middle = float(np.median(sample))
        scatter = 1.4826 * float(np.median(np.abs(sample - middle)))
        result_HW[inside] = np.maximum((response_HW[inside] - middle) / max(scatter, FLOOR), 0.0)
    return result_HW
