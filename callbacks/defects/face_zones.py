"""Zones about the axis of a fiber, and what of a defect lies in each of them.

Letters: P points, S places along a defect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from datamodules.zones.ellipse import Ellipse

    from .region_shape import Extent, RegionShape
    from .sizes import Floats


@dataclass(frozen=True)
class FaceZones:
    """Rings about the axis.

    Attributes:
        cladding: As found, in pixels on disk, (0, 0) the image's outer corner.
        radius: Of the cladding, in units (micrometres).
        rings: Inner and outer diameter of each zone, in the same units, by name; the inner one belongs to it.
    """

    cladding: Ellipse
    radius: float
    rings: Mapping[str, tuple[float, float]]

    def away(self, x_P: Floats, y_P: Floats) -> Floats:
        """Return the distance of points from the axis, in units."""
        away: Floats = np.asarray(self.cladding.distance(x_P, y_P), dtype=np.float64) * self.radius
        return away

    def parts(self, shape: RegionShape) -> dict[str, Extent]:
        """Return how large the part of a defect in every zone is that it lies in."""
        away_P, away_S = self.away(*shape.points[:2]), self.away(*shape.profile[:2])
        found = {
            name: shape.within(_between(away_P, *ring), _between(away_S, *ring)) for name, ring in self.rings.items()
        }
        return {name: extent for name, extent in found.items() if extent is not None}

    def edge_away(self, shape: RegionShape) -> float:
        """Return the smallest distance of a defect from the cladding's edge, in units; 0 where it crosses it."""
        away_P = self.away(*shape.points[:2]) - self.radius
        return 0.0 if away_P.min() <= 0 <= away_P.max() else float(np.abs(away_P).min())


def _between(away_P: Floats, inner: float, outer: float) -> npt.NDArray[np.bool_]:
    within: npt.NDArray[np.bool_] = (2 * away_P >= inner) & (2 * away_P < outer)
    return within
