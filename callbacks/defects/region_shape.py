"""One defect as it lies on the part, from one patch or from several fragments: its size, width, and parts by zone.

Letters: P points, S places along its middle line.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from .sizes import FEWEST, Axis, Floats, Scale, feret, middle_line, widths

if TYPE_CHECKING:
    import numpy.typing as npt

    from .half_depth import Patch, Plane

LINE = 4.0  # length over width from which a region has a width all along, and not a diameter
SLIVER = 0.5  # square pixels: what lies in a zone with less than this is the border's doing


class Extent(NamedTuple):
    """How large a defect is, or its part within a zone; lengths in units of its scale.

    Attributes:
        size: Largest Feret diameter.
        width: Of a scratch: the median of its widths at half depth; else the area over the length.
        length: Along its bent middle line.
        area: In square units.
    """

    size: float
    width: float
    length: float
    area: float


@dataclass(frozen=True, eq=False)
class RegionShape:
    """A defect.

    Attributes:
        patches: One, or the fragments of a scratch.
        plane_HW: The image, grey, that widths are looked up in; None: the patches' own masks say them.
        scale: Units per pixel on disk.
    """

    patches: tuple[Patch, ...]
    plane_HW: Plane | None
    scale: Scale

    @cached_property
    def step(self) -> float:
        """Side of the coarsest fine pixel, in pixels on disk."""
        return max(patch.step for patch in self.patches)

    @cached_property
    def points(self) -> tuple[Floats, Floats, Floats]:
        """Centres x and y of all fine pixels in pixels on disk, and the area of each in square pixels."""
        found = [patch.pixels() for patch in self.patches]
        areas = [np.full(len(x), patch.step**2) for patch, (x, _) in zip(self.patches, found, strict=True)]
        return np.concatenate([x for x, _ in found]), np.concatenate([y for _, y in found]), np.concatenate(areas)

    @property
    def centre(self) -> tuple[float, float]:
        """Of gravity, in pixels on disk."""
        x_P, y_P, area_P = self.points
        return float(np.average(x_P, weights=area_P)), float(np.average(y_P, weights=area_P))

    @cached_property
    def axis(self) -> Axis:
        """Its bent middle line."""
        x_P, y_P, _ = self.points
        return middle_line(x_P, y_P, self.scale, self.step)

    @cached_property
    def extent(self) -> Extent:
        """Of the whole."""
        return self._extent(np.ones(len(self.points[0]), dtype=np.bool_), np.ones(len(self.profile[0]), dtype=np.bool_))

    @property
    def slenderness(self) -> float:
        """Length over width."""
        extent = self.extent
        return extent.length / max(extent.width, extent.area / max(extent.length, 1e-9), 1e-9)

    @cached_property
    def solidity(self) -> float:
        """Area over that of the convex hull, 0 to 1."""
        x_P, y_P, area_P = self.points
        point_P2 = np.stack([x_P - x_P.mean(), y_P - y_P.mean()], axis=1).astype(np.float32)
        hull = float(cv2.contourArea(cv2.convexHull(point_P2)))
        return float(min(area_P.sum() / max(hull, area_P.sum()), 1.0))

    @cached_property
    def profile(self) -> tuple[Floats, Floats, Floats]:
        """Places along the middle line, and the width at each (see ``widths``); none where the region is compact."""
        unit = (self.scale.x + self.scale.y) / 2
        rough = self.points[2].sum() * self.scale.x * self.scale.y / max(self.axis.length, 1e-9) / unit
        if self.axis.length / unit < LINE * rough:
            nothing = np.zeros(0)
            return nothing, nothing, nothing
        if self.plane_HW is not None:
            sign = 1.0 if self.patches[0].depth > 0 else -1.0
            return widths(self.plane_HW, self.axis, sign, rough, self.scale)
        return self._profile_of_masks(rough)

    def within(self, inside_P: npt.NDArray[np.bool_], inside_S: npt.NDArray[np.bool_]) -> Extent | None:
        """Return the extent of a part; None where hardly anything of it lies there.

        Args:
            inside_P: Which of ``points`` belong to the part.
            inside_S: Which places of ``profile`` do.
        """
        if float(self.points[2][inside_P].sum()) < SLIVER:
            return None
        return self._extent(inside_P, inside_S)

    def _extent(self, inside_P: npt.NDArray[np.bool_], inside_S: npt.NDArray[np.bool_]) -> Extent:
        x_P, y_P, area_P = (values[inside_P] for values in self.points)
        area = float(area_P.sum()) * self.scale.x * self.scale.y
        size = feret(x_P, y_P, self.scale, self.step)
        whole = bool(inside_P.all())
        length = max(self.axis.length, size) if whole else size
        width_S = self.profile[2][inside_S]
        seen = width_S[np.isfinite(width_S)]
        if len(seen) < FEWEST:  # too short a part to see a width in: that of the whole, or what its area says
            every = self.profile[2][np.isfinite(self.profile[2])]
            width = float(np.median(every)) if len(every) >= FEWEST else area / max(length, 1e-9)
        else:
            width = float(np.median(seen))
        # A zone may hold no more of a scratch than its end, or a corner of that: it is as wide there as it is.
        return Extent(size, min(width, size) if whole else width, length, area)

    def _profile_of_masks(self, rough: float) -> tuple[Floats, Floats, Floats]:
        """Measure widths on the masks themselves."""
        step = self.step
        left, top = min(patch.left for patch in self.patches), min(patch.top for patch in self.patches)
        x_P, y_P, _ = self.points
        column, row = ((x_P - left) / step).astype(int), ((y_P - top) / step).astype(int)
        margin = int(BORDER / step) + 1
        drawn = np.zeros((row.max() + 1 + 2 * margin, column.max() + 1 + 2 * margin), dtype=np.float32)
        drawn[row + margin, column + margin] = 1.0
        moved = Axis((self.axis.x_S - left) / step + margin, (self.axis.y_S - top) / step + margin, self.axis.length)
        fine = Scale(self.scale.x * step, self.scale.y * step)
        _, _, width_S = widths(drawn, moved, 1.0, rough / step, fine)
        every = max(len(self.axis.x_S) // max(len(width_S), 1), 1)
        return self.axis.x_S[::every], self.axis.y_S[::every], width_S


BORDER = 12.0  # pixels on disk about a mask that is measured by itself
