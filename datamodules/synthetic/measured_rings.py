"""Rings whose measures are known, drawn to a fraction of a pixel: what ring geometry is tested and benchmarked on.

A ring is drawn in polar coordinates about its outer centre, from the distance of every pixel to its outlines, then
blurred as a lens does and given a camera's noise. Lengths are in pixels, angles in radians.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
What: TypeAlias = Literal["plain", "eccentric", "oval", "flash", "gap"]
Tip: TypeAlias = Literal["hat", "sharp", "square", "round"]
TIPS: tuple[Tip, ...] = ("hat", "sharp", "square", "round")
WHATS: tuple[What, ...] = ("plain", "eccentric", "oval", "flash", "gap")
TYPES = {"model1": (665.0, 388.0), "model2": (560.0, 415.0)}  # radii at 2448 x 2048, the first as the source's


@dataclass(frozen=True)
class MeasuredRing:
    """A ring and its light.

    Attributes:
        size: Height and width of the image.
        x: Of the outer centre; whole numbers at pixel centres.
        y: The same.
        outer: Mean outer radius.
        inner: Mean inner radius.
        shift: From the outer centre to the inner, x and y.
        oval: By how much both radii swell along ``angle``, and shrink across it.
        flash: Height of a fin on the outer outline at ``angle``, or on the inner where negative.
        fin: Half the fin's width at its foot.
        tip: Form of the fin: pointed with a rounded foot, a triangle, a rectangle, or half an ellipse.
        gap: Width of a slit through the ring at ``angle``, with parallel walls.
        angle: Where the particular thing is.
        light: Share by which brightness falls towards one side, 0 to 0.8.
        light_from: Where the light is.
        ground: Grey value of the ground, 0 to 255.
        body: Grey value of the ring's crest.
        blur: Standard deviation of the lens.
        noise: Standard deviation in grey values.
        dirt: Specks on ground and ring.
        seed: Of noise and dirt.
    """

    size: tuple[int, int]
    x: float
    y: float
    outer: float
    inner: float
    shift: tuple[float, float] = (0.0, 0.0)
    oval: float = 0.0
    flash: float = 0.0
    fin: float = 8.0
    tip: Tip = "hat"
    gap: float = 0.0
    angle: float = 0.0
    light: float = 0.0
    light_from: float = 0.0
    ground: float = 20.0
    body: float = 130.0
    blur: float = 1.2
    noise: float = 3.0
    dirt: int = 0
    seed: int = 0

    @property
    def truth(self) -> dict[str, float]:
        """The measures, by the names of ``parts.csv``; thickness is the body's, without fins and slits."""
        off = math.hypot(*self.shift)
        middle = self.outer - self.inner
        return {
            "outer_diameter": 2 * self.outer,
            "inner_diameter": 2 * self.inner,
            "centre_distance": off,
            "mean_thickness": middle,
            "min_thickness": middle - off,
            "max_thickness": middle + off,
            "ovality": 4 * abs(self.oval),
            "flash": abs(self.flash),
            "gap": self.gap,
            "area": max(math.pi * (self.outer**2 - self.inner**2) - self.gap * middle, 0.0),
        }

    def draw(self) -> npt.NDArray[np.uint8]:
        """Draw it, (H, W) grey."""
        return _draw(self)


@dataclass(frozen=True)
class Lot:
    """Rings drawn at random: every kind of ring under every kind of light.

    Args:
        size: Height and width of the images.
        seed: Decides everything.
    """

    size: tuple[int, int] = (2048, 2448)
    seed: int = 0
    light_table: float = 0.25  # of the images: a dark ring on bright ground
    tips: tuple[Tip, ...] = ("hat",)  # of fins, by turns

    def ring(self, number: int) -> tuple[str, What, MeasuredRing]:
        """Return the type, what is particular, and the ring of a number."""
        rng = np.random.default_rng((self.seed, number))
        unit = self.size[0] / 2048
        kind = tuple(TYPES)[number % 2]
        what = WHATS[(number // 2) % len(WHATS)]
        outer, inner = (radius * unit * rng.uniform(0.985, 1.015) for radius in TYPES[kind])
        turn = rng.uniform(0, 2 * math.pi)
        off = rng.uniform(2, 14) * max(unit, 0.3) if what == "eccentric" else 0.0
        dark = rng.random() < self.light_table
        ring = MeasuredRing(
            size=self.size,
            x=self.size[1] / 2 + rng.uniform(-60, 60) * unit,
            y=self.size[0] / 2 + rng.uniform(-60, 60) * unit,
            outer=outer,
            inner=inner,
            shift=(off * math.cos(turn), off * math.sin(turn)),
            oval=rng.uniform(1, 7) * max(unit, 0.3) if what == "oval" else 0.0,
            flash=float(rng.choice([-1, 1], p=[0.3, 0.7]) * rng.uniform(4, 16)) if what == "flash" else 0.0,
            fin=rng.uniform(6, 40) * max(unit, 0.5),
            tip=self.tips[number // (2 * len(WHATS)) % len(self.tips)],
            gap=rng.uniform(4, rng.choice([16, max(120 * unit, 16)])) if what == "gap" else 0.0,
            angle=rng.uniform(0, 2 * math.pi),
            light=rng.uniform(0, 0.6) if rng.random() < 0.7 else 0.0,
            light_from=rng.uniform(0, 2 * math.pi),
            ground=rng.uniform(190, 225) if dark else rng.uniform(10, 30),
            body=rng.uniform(25, 60) if dark else rng.uniform(90, 190),
            blur=rng.uniform(0.8, 2.5),
            noise=rng.uniform(2, 8),
            dirt=int(rng.integers(0, 30)) if rng.random() < 0.5 else 0,
            seed=int(rng.integers(2**31)),
        )
        return kind, what, ring


def _draw(ring: MeasuredRing) -> npt.NDArray[np.uint8]:
    height, width = ring.size
    rng = np.random.default_rng(ring.seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    dx, dy = x - np.float32(ring.x), y - np.float32(ring.y)
    reach, turn = np.hypot(dx, dy), np.arctan2(dy, dx)
    swell = ring.oval * np.cos(2 * (turn - ring.angle))
    outside = ring.outer + swell + _fin(ring, turn, ring.outer, max(ring.flash, 0.0))
    ix, iy = dx - np.float32(ring.shift[0]), dy - np.float32(ring.shift[1])
    within, inner_turn = np.hypot(ix, iy), np.arctan2(iy, ix)
    inside = ring.inner + ring.oval * np.cos(2 * (inner_turn - ring.angle))
    inside = inside - _fin(ring, inner_turn, ring.inner, max(-ring.flash, 0.0))
    cover = np.clip(outside - reach + 0.5, 0, 1) * np.clip(within - inside + 0.5, 0, 1)
    if ring.gap:
        along = dx * math.cos(ring.angle) + dy * math.sin(ring.angle)
        across = np.abs(dy * math.cos(ring.angle) - dx * math.sin(ring.angle))
        cover = cover * np.where(along > 0, np.clip(across - ring.gap / 2 + 0.5, 0, 1), 1)
    tube = np.clip((reach - (ring.outer + ring.inner) / 2) / ((ring.outer - ring.inner) / 2), -1.2, 1.2)
    lit = 1 - ring.light * (1 - np.cos(turn - ring.light_from)) / 2
    dark = ring.body < ring.ground
    shade = (1 + 0.3 * tube**2) if dark else lit * (1 - 0.25 * tube**2)
    slope = (dx * math.cos(ring.light_from) + dy * math.sin(ring.light_from)) / max(height, width)
    ground = ring.ground * (1 + 0.6 * ring.light * slope) if dark else np.full_like(reach, ring.ground)
    scene = (ground + cover * (ring.body * shade - ground)).astype(np.float32)
    scene = _dirty(ring, scene, reach, rng)
    scene = cv2.GaussianBlur(scene, (0, 0), ring.blur)
    scene = scene + np.asarray(rng.normal(0, ring.noise, scene.shape), dtype=np.float32)
    drawn: npt.NDArray[np.uint8] = np.clip(np.rint(scene), 0, 255).astype(np.uint8)
    return drawn


def _fin(ring: MeasuredRing, turn: Floats, radius: float, height: float) -> Floats:
    """Return how far a fin stands out at each angle."""
    away = np.abs((turn - ring.angle + math.pi) % (2 * math.pi) - math.pi) * radius / ring.fin
    share = _share(ring.tip, np.asarray(np.clip(away, 0, 1)), np.asarray((1 - away) * ring.fin))
    return np.asarray(height * share, dtype=np.float32)


def _share(tip: Tip, away: Floats, within: Floats) -> npt.NDArray[np.floating]:
    """Return the share of its height that a fin has ``away`` from its crest, and so many pixels within its foot."""
    if tip == "sharp":
        return np.asarray(1 - away)
    if tip == "square":
        return np.asarray(np.clip(within + 0.5, 0, 1))
    if tip == "round":
        return np.asarray(np.sqrt(1 - away**2))
    return np.asarray(np.clip(np.cos(away * math.pi / 2), 0, 1) ** 1.5)


def _dirty(ring: MeasuredRing, scene: Floats, reach: Floats, rng: np.random.Generator) -> Floats:
    """Drop specks: on the ground away from the outlines, where one would be taken for flash, or on the ring's crest."""
    height, width = scene.shape
    done = 0
    while done < ring.dirt:
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        radius, value = rng.uniform(1.5, 7.0) * max(height / 2048, 0.5), rng.uniform(20, 200)
        at = float(reach[min(int(y), height - 1), min(int(x), width - 1)])
        if min(abs(at - ring.outer), abs(at - ring.inner)) < radius + 25 * max(height / 2048, 0.5):
            done += rng.random() < 0.05  # near an outline everywhere, as on a thin ring
            continue
        cv2.circle(scene, (round(x), round(y)), max(round(radius), 1), value, -1, cv2.LINE_AA)
        done += 1
    return scene
