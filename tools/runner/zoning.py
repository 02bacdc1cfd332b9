"""Zones of a fiber's end face, found on every image as they were in training, and the micrometres that they tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from datamodules.zones.detectors import clusters, contours, hough, ransac, voting
from datamodules.zones.finding import find_zones
from datamodules.zones.kinds import Sizes, size_of
from datamodules.zones.masks import fitted_zones, zone_map
from datamodules.zones.prior import Prior
from datamodules.zones.scale import scale_of_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datamodules.files.fitting import Placement
    from datamodules.zones.ellipse import Ellipse

    from .network import Array

METHODS = (clusters, contours, hough, ransac, voting)  # found by their folder; named here, so that bundles ship them


class Zoned(NamedTuple):
    """What was found on an image.

    Attributes:
        size: Height and width of the image as read.
        cladding: In its pixels; None where it was not found.
        core: Likewise.
        um_per_pixel: Along y; None where neither the image nor its kind tells.
        source: ``image`` or ``kind``; empty where unknown.
    """

    size: tuple[int, int]
    cladding: Ellipse | None
    core: Ellipse | None
    um_per_pixel: float | None
    source: str

    def drawn(self) -> Array | None:
        """Return zone ids (H, W) of the image as read; None where nothing was found."""
        return None if self.cladding is None else zone_map(self.cladding, self.core, self.size)

    def fitted(self, placement: Placement) -> Array | None:
        """Return zone ids (h, w) of what a model sees; None where nothing was found."""
        return None if self.cladding is None else fitted_zones(self.cladding, self.core, placement)


@dataclass(frozen=True)
class Zoning:
    """Finds zones.

    Attributes:
        core_um: Diameter of the core; or by kind.
        cladding_um: Diameter of the outermost circle; or by kind.
        scales: Micrometres per pixel along y that were usual in training, by ``KIND HEIGHTxWIDTH``.
    """

    core_um: Sizes = None
    cladding_um: Sizes = None
    scales: Mapping[str, float] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse sizes that mean nothing, before any image is read.

        Raises:
            DataError: Says which.
        """
        named = {kind for sizes in (self.core_um, self.cladding_um) if isinstance(sizes, dict) for kind in sizes}
        for kind in ("", *named):
            Prior(size_of(self.core_um, kind), size_of(self.cladding_um, kind))

    def __call__(self, values: Array, kind: str) -> Zoned:
        """Find the zones of an image.

        Args:
            values: As stored, (H, W) or (H, W, 3).
            kind: Its sub-population, which says what sizes it has.
        """
        prior = Prior(size_of(self.core_um, kind), size_of(self.cladding_um, kind))
        found, size = find_zones(values, prior), (values.shape[0], values.shape[1])
        if found.cladding is None:
            usual = self.scales.get(f"{kind} {size[0]}x{size[1]}")
            return Zoned(size, None, None, usual, "" if usual is None else "kind")
        return Zoned(size, found.cladding, found.core, scale_of_image(found.cladding, prior).y, "image")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, which the constructor takes."""
        return {"core_um": self.core_um, "cladding_um": self.cladding_um, "scales": dict(self.scales)}
