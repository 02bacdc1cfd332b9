"""The size of grains, by the two ways of ASTM E112: counting grains in an area, and boundaries along lines.

Lines run along every row, column and diagonal of closed grains, so that nothing is left to the choice of a few; on them
a boundary is where the grain changes, which neither counts a thick line twice nor joins two that are near. The mean
intercept of Heyn is their whole length by the number of changes.

Planimetric and intercept numbers differ by 0.3 to 0.65 by nature (E112 assumes grains of one shape): report both.

Letters: H and W height and width of the image in pixels, G grains.

Source: ASTM E112, equations as widely reprinted: ``G = -6.6439 log10(l) - 3.2877``, l in millimetres, and
``G = 3.321928 log10(N_A) - 2.954``, N_A grains per square millimetre.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log10, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .closing import Grains, Mask

DIRECTIONS = {"row": 0.0, "column": 90.0, "falling diagonal": 45.0, "rising diagonal": 135.0}
"""Names, and angles in degrees from pointing right towards pointing down."""


@dataclass(frozen=True)
class Intercepts:
    """How often boundaries are met along lines.

    Attributes:
        length: Of the lines, in pixels, by direction.
        met: How often the grain changes on them.
    """

    length: dict[str, float]
    met: dict[str, float]

    def mean(self, direction: str | None = None) -> float:
        """Return the mean intercept in pixels, of one direction or all; infinite where no boundary is met."""
        length = sum(self.length.values()) if direction is None else self.length[direction]
        met = sum(self.met.values()) if direction is None else self.met[direction]
        return length / met if met else float("inf")

    @property
    def anisotropy(self) -> float:
        """The longest mean intercept of a direction by the shortest: 1 where all are alike."""
        means = [self.mean(direction) for direction in self.length]
        return max(means) / min(means) if np.isfinite(means).all() else float("inf")


def intercepts(grain_HW: Grains, rim_HW: Mask | None = None) -> Intercepts:
    """Count boundaries along every row, column and diagonal of closed grains.

    Args:
        grain_HW: The number of the grain at every pixel.
        rim_HW: Pixels of lines that the border cuts, see ``closing.rim_of_lines``: going into them counts a half.
    """
    outside_HW = grain_HW if rim_HW is None else np.where(rim_HW, -1, grain_HW)
    pairs = {
        "row": (outside_HW[:, 1:], outside_HW[:, :-1]),
        "column": (outside_HW[1:], outside_HW[:-1]),
        "falling diagonal": (outside_HW[1:, 1:], outside_HW[:-1, :-1]),
        "rising diagonal": (outside_HW[1:, :-1], outside_HW[:-1, 1:]),
    }
    return Intercepts(
        {name: one.size * (sqrt(2) if "diagonal" in name else 1.0) for name, (one, _) in pairs.items()},
        {name: _changes(one, other) for name, (one, other) in pairs.items()},
    )


def _changes(one: Grains, other: Grains) -> float:
    """Count where two views of grains differ; by a half where either is rim."""
    differ = one != other
    return float(differ.sum()) - float((differ & ((one < 0) | (other < 0))).sum()) / 2


@dataclass(frozen=True)
class Planimetry:
    """How many grains there are in an area.

    Attributes:
        inside: Grains that lie wholly inside.
        cut: Grains that the border cuts; half of each counts.
        area: In square pixels.
    """

    inside: int
    cut: int
    area: float

    @property
    def per_pixel(self) -> float:
        """Grains per square pixel."""
        return (self.inside + self.cut / 2) / self.area


def planimetry(grain_HW: Grains) -> Planimetry:
    """Count closed grains, those that the border cuts apart."""
    cut = np.unique(np.concatenate([grain_HW[0], grain_HW[-1], grain_HW[:, 0], grain_HW[:, -1]]))
    return Planimetry(len(np.unique(grain_HW)) - len(cut), len(cut), float(grain_HW.size))


def whole_areas(grain_HW: Grains) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the areas of the grains that lie wholly inside, (G,), in square pixels."""
    area = np.bincount(grain_HW.ravel())
    area[np.concatenate([grain_HW[0], grain_HW[-1], grain_HW[:, 0], grain_HW[:, -1]])] = 0
    return np.asarray(area[area > 0], np.int64)


def number_by_intercept(mean_mm: float) -> float:
    """Return the grain size number G of a mean intercept in millimetres."""
    return -6.643856 * log10(mean_mm) - 3.2877


def number_by_count(per_mm2: float) -> float:
    """Return the grain size number G of grains per square millimetre."""
    return 3.321928 * log10(per_mm2) - 2.954
