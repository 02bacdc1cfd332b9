"""End faces whose scratches and defects are known to a fraction of a micrometre: what sizes and verdicts are tested on.

Everything is drawn by the share of each pixel that it covers, blurred as a lens does, and given a camera's noise.
Lengths are micrometres on the face, from the axis; the image is grey.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from .canvas import coverage

Plane: TypeAlias = npt.NDArray[np.float32]

FINE = 6  # parts of a pixel along x and y, by which what is small is drawn
AIR = 3  # pixels about a defect that are drawn finely


@dataclass(frozen=True)
class Speck:
    """A round pit or grain of dirt.

    Attributes:
        x: Of its centre.
        y: The same.
        size: Diameter.
        depth: Grey levels against what lies under it, above 0 bright.
    """

    x: float
    y: float
    size: float
    depth: float = -60.0

    @property
    def reach(self) -> tuple[float, float]:
        """Least and greatest distance from the axis."""
        middle = math.hypot(self.x, self.y)
        return max(middle - self.size / 2, 0.0), middle + self.size / 2

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        half = self.size / 2
        return self.x - half, self.y - half, self.x + half, self.y + half

    def inside(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Tell which points it covers."""
        covered: npt.NDArray[np.bool_] = np.hypot(x - self.x, y - self.y) <= self.size / 2
        return covered


@dataclass(frozen=True)
class Scratch:
    """A straight scratch with square ends.

    Attributes:
        x: Of its middle.
        y: The same.
        angle: Of its length, in radians clockwise from a row.
        length: From end to end.
        width: Across.
        depth: Grey levels against what lies under it, above 0 bright.
    """

    x: float
    y: float
    angle: float
    length: float
    width: float
    depth: float = -60.0

    @property
    def reach(self) -> tuple[float, float]:
        """Least and greatest distance from the axis."""
        along = np.linspace(-self.length / 2, self.length / 2, 400)[:, None]
        across = np.linspace(-self.width / 2, self.width / 2, 9)[None]
        away = np.hypot(
            self.x + along * math.cos(self.angle) - across * math.sin(self.angle),
            self.y + along * math.sin(self.angle) + across * math.cos(self.angle),
        )
        return float(away.min()), float(away.max())

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        cos, sin = abs(math.cos(self.angle)), abs(math.sin(self.angle))
        across, down = (self.length * cos + self.width * sin) / 2, (self.length * sin + self.width * cos) / 2
        return self.x - across, self.y - down, self.x + across, self.y + down

    def inside(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Tell which points it covers."""
        along = (x - self.x) * math.cos(self.angle) + (y - self.y) * math.sin(self.angle)
        across = (y - self.y) * math.cos(self.angle) - (x - self.x) * math.sin(self.angle)
        covered: npt.NDArray[np.bool_] = (np.abs(along) <= self.length / 2) & (np.abs(across) <= self.width / 2)
        return covered


Planted: TypeAlias = Speck | Scratch


@dataclass(frozen=True)
class MeasuredFace:
    """A face and its light.

    Attributes:
        size: Height and width of the image in pixels.
        um_per_pixel: Along x and y.
        core_um: Diameter of the core.
        cladding_um: Diameter of the cladding.
        shift: Of the axis from the image's middle, x and y in pixels.
        core_shift: Of the core from the axis, x and y in micrometres.
        ferrule: Grey level.
        cladding: The same.
        core: The same; that of the cladding: it is not lit.
        blur: Standard deviation of the lens in micrometres.
        noise: Of the camera, in grey levels.
        grain: Of the ferrule, in grey levels, a few pixels wide.
        planted: Scratches and defects.
        seed: Of noise and grain.
    """

    size: tuple[int, int] = (620, 620)
    um_per_pixel: tuple[float, float] = (0.45, 0.45)
    core_um: float = 9.0
    cladding_um: float = 125.0
    shift: tuple[float, float] = (0.0, 0.0)
    core_shift: tuple[float, float] = (0.0, 0.0)
    ferrule: float = 165.0
    cladding: float = 85.0
    core: float = 200.0
    blur: float = 0.5
    noise: float = 1.5
    grain: float = 1.0
    planted: tuple[Planted, ...] = ()
    seed: int = 0

    @property
    def centre(self) -> tuple[float, float]:
        """Of the axis in pixels, x and y, from the image's outer corner."""
        return self.size[1] / 2 + self.shift[0], self.size[0] / 2 + self.shift[1]

    def draw(self) -> npt.NDArray[np.uint8]:
        """Draw it, (H, W) grey."""
        rng = np.random.default_rng(self.seed)
        height, width = self.size
        um_x, um_y = self.um_per_pixel
        x = (np.arange(width)[None] + 0.5 - self.centre[0]) * um_x
        y = (np.arange(height)[:, None] + 0.5 - self.centre[1]) * um_y
        away, unit = np.hypot(x, y), math.sqrt(um_x * um_y)
        coarse = cv2.resize(rng.normal(0, 1, (height // 3 + 1, width // 3 + 1)), (width, height))
        scene = np.asarray(self.ferrule + self.grain * 1.5 * coarse, dtype=np.float64)
        scene += coverage((away - self.cladding_um / 2) / unit) * (self.cladding - scene)
        from_core = np.hypot(x - self.core_shift[0], y - self.core_shift[1])
        scene += coverage((from_core - self.core_um / 2) / unit) * (self.core - scene)
        for one in self.planted:
            self._plant(scene, one)
        seen = cv2.GaussianBlur(scene, (0, 0), self.blur / um_x, sigmaY=self.blur / um_y)
        return np.clip(np.rint(seen + rng.normal(0, self.noise, self.size)), 0, 255).astype(np.uint8)

    def _plant(self, scene: npt.NDArray[np.floating], one: Planted) -> None:
        """Change the pixels that a defect covers, each by the share that it covers."""
        left, top, right, bottom = one.box
        (cx, cy), (um_x, um_y) = self.centre, self.um_per_pixel
        first, last = int(left / um_x + cx) - AIR, int(right / um_x + cx) + AIR
        upper, lower = int(top / um_y + cy) - AIR, int(bottom / um_y + cy) + AIR
        first, upper = max(first, 0), max(upper, 0)
        last, lower = min(last, self.size[1]), min(lower, self.size[0])
        if last <= first or lower <= upper:
            return
        x = ((np.arange((last - first) * FINE) + 0.5) / FINE + first - cx) * um_x
        y = ((np.arange((lower - upper) * FINE) + 0.5) / FINE + upper - cy) * um_y
        fine = one.inside(x[None], y[:, None]).astype(np.float32)
        cover = cv2.resize(fine, (last - first, lower - upper), interpolation=cv2.INTER_AREA)
        scene[upper:lower, first:last] += one.depth * cover
