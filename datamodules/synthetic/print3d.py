"""Layers of a metal powder bed, seen from above: powder between two walls, darker towards the far side.

A group is a build: its layers share parts, walls and light, and the laser's hatching turns by 67 degrees from layer to
layer, as is common practice. Kinds are the layer groups: ``recoated`` (fresh powder, the parts shimmer through) and
``melted`` (the parts lie bare). The recoater travels from top to bottom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .canvas import blurred, coverage, fractal_field, grain, make_camera, pixel_grid, smooth_field, white_noise
from .defects import Layer, Truth, between, photographed
from .drawing import Drawing, Floats, Identity, check_request, floats
from .shapes import blob, ellipses, filled, stroked

DEFECTS = ("recoater_streak", "super_elevation", "uneven_powder", "spatter")
KINDS = ("recoated", "melted")
HATCH_TURN = math.radians(67.0)


@dataclass(frozen=True)
class Build:
    """What the layers of a build have in common; lengths are fractions of the image.

    Attributes:
        kind: When the camera looks, see the module.
        near: Light at the bottom border.
        far: Light at the top border.
        grain: Strength of the powder's grain.
        parts: The parts' outlines, each (P, 2).
        walls: Width of the walls' shadow at top left, bottom left, top right, bottom right.
    """

    kind: str
    near: float
    far: float
    grain: float
    parts: tuple[Floats, ...]
    walls: tuple[float, float, float, float]


def draw(identity: Identity, size: int, defect: str | None = None, severity: float = 0.0) -> Drawing:
    """Draw one layer of a build, in grey.

    Args:
        identity: Which image; `group` numbers the build, `slot` the layer.
        size: Height and width in pixels.
        defect: One of `DEFECTS`, or None for a good image.
        severity: 0 barely visible to 1 gross.

    Raises:
        DrawingError: If size, defect or severity cannot be drawn.
    """
    check_request(size, defect, severity, DEFECTS)
    build = _build(identity)
    camera = make_camera(identity, size, exposure=0.1, blur=0.7, noise=0.008, tilt=0.05)
    scene = blurred(_bed(identity, build, size), camera.blur)
    layers = _LAYERS[defect](identity.own(defect), build, scene, severity) if defect else []
    truth = Truth(defect, severity, build.kind, f"build_{identity.group:04d}")
    return photographed(camera, scene, layers, identity, truth)


def _build(identity: Identity) -> Build:
    group = identity.shared("build")
    walls = group.uniform(0.0, 0.055, 4)
    return Build(
        kind=KINDS[identity.group % len(KINDS)],
        near=float(group.uniform(0.42, 0.52)),
        far=float(group.uniform(0.1, 0.22)),
        grain=float(group.uniform(0.012, 0.024)),
        parts=_parts(group),
        walls=(float(walls[0]), float(walls[1]), float(walls[2]), float(walls[3])),
    )


def _parts(rng: np.random.Generator) -> tuple[Floats, ...]:
    """Lay out parts on a loose grid: bars, discs, hexagons and brackets."""
    rows, columns = int(rng.integers(2, 4)), int(rng.integers(2, 5))
    parts = []
    for row in range(rows):
        for column in range(columns):
            if rng.random() < 0.2:
                continue
            middle = np.array([0.12 + 0.76 * (column + 0.5) / columns, 0.14 + 0.74 * (row + 0.5) / rows])
            reach = rng.uniform(0.55, 0.8) * 0.5 * min(0.76 / columns, 0.74 / rows)
            parts.append(middle + reach * _SHAPES[rng.integers(len(_SHAPES))] @ _turn(rng.choice([0.0, 0.0, 0.4])))
    return tuple(part.astype(np.float32) for part in parts)


def _turn(angle: float) -> Floats:
    cosine, sine = math.cos(angle), math.sin(angle)
    return floats([[cosine, sine], [-sine, cosine]])


def _regular(corners: int) -> Floats:
    angle = np.linspace(0.0, 2.0 * np.pi, corners, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


_SHAPES: tuple[Floats, ...] = (
    _regular(40),
    _regular(6),
    floats([[-1, -0.45], [1, -0.45], [1, 0.45], [-1, 0.45]]),
    floats([[-0.9, -0.9], [0.9, -0.9], [0.9, -0.3], [-0.3, -0.3], [-0.3, 0.9], [-0.9, 0.9]]),
    floats(
        [
            [-0.9, 0.9],
            [-0.9, 0.2],
            [-0.2, -0.9],
            [0.2, -0.9],
            [0.9, 0.2],
            [0.9, 0.9],
            [0.4, 0.9],
            [0.0, 0.0],
            [-0.4, 0.9],
        ]
    ),
)


def _bed(identity: Identity, build: Build, size: int) -> Floats:
    """Draw the flawless bed: powder, parts, the recoater's faint traces, and the walls."""
    own = identity.own("bed")
    unit = size / 256.0
    depth = np.linspace(0.0, 1.0, size, dtype=np.float32)[:, None]
    base = build.far + (build.near - build.far) * depth**0.55
    drift = 0.02 * fractal_field(own, size, 110 * unit, octaves=2)
    coarse = build.grain * own.uniform(0.8, 1.2) * (0.7 * grain(own, size, 0.6) + 0.7 * grain(own, size, 1.3))
    combing = 0.006 * blurred(white_noise(own, (1, size)), 1.2 * unit)
    scene = np.asarray(base * (1.0 + drift + combing) + coarse * (0.4 + base), dtype=np.float32)
    scene = _with_parts(identity, build, scene)
    return _with_walls(build, scene)[None]


def _with_parts(identity: Identity, build: Build, scene: Floats) -> Floats:
    """Show the parts: hatched metal if melted, else faint dips in the fresh powder."""
    own, size = identity.own("parts"), scene.shape[-1]
    cover = filled(size, *(part * size for part in build.parts))
    if build.kind == "recoated":
        return scene * (1.0 - own.uniform(0.015, 0.05) * blurred(cover, 1.5 * size / 256.0))
    x, y = pixel_grid(size)
    turn = identity.shared("hatch").uniform(0.0, np.pi) + HATCH_TURN * identity.slot
    pitch = max(3.2 * size / 256.0, 2.4)
    hatch = np.sin(
        2.0 * np.pi / pitch * (x * math.cos(turn) + y * math.sin(turn)) + 0.8 * smooth_field(own, size, size / 12.0)
    )
    rim = np.clip(cover - blurred(cover, 1.6 * size / 256.0), 0.0, 1.0)
    shine = identity.shared("shine").uniform(0.08, 0.3) + 0.1 * math.cos(2.0 * turn)
    metal = scene * (1.0 + shine) + 0.022 * hatch + 0.02 * smooth_field(own, size, size / 40.0)
    return np.asarray(scene + cover * (metal - scene) + 0.12 * rim, dtype=np.float32)


def _with_walls(build: Build, scene: Floats) -> Floats:
    """Darken what lies beyond the chamber's left and right walls, which lean with the perspective."""
    size = scene.shape[-1]
    x, y = pixel_grid(size)
    fall = y / size
    left = size * (build.walls[0] + (build.walls[1] - build.walls[0]) * fall)
    right = size * (1.0 - build.walls[2] - (build.walls[3] - build.walls[2]) * fall)
    beyond = np.maximum(coverage((x - left) / 1.5), coverage((right - x) / 1.5))
    return np.asarray(scene * (1.0 - 0.82 * beyond), dtype=np.float32)


def _recoater_streak(rng: np.random.Generator, build: Build, scene: Floats, severity: float) -> list[Layer]:
    """Draw furrows of a nicked blade or a dragged particle: dark, straight along the travel, with a bright bank."""
    del build
    size = scene.shape[-1]
    unit = size / 256.0
    count = 1 + round(severity * rng.integers(1, 5))
    middle, spread = rng.uniform(0.22, 0.78) * size, 0.13 * size
    lines, widths = [], []
    for x in middle + rng.uniform(-spread, spread, count) * (count > 1):
        start = rng.uniform(-0.1, 0.45) * size
        stop = min(start + between(0.35, 1.2, severity) * size, 1.05 * size)
        y = np.linspace(start, stop, 24)
        lines.append(np.stack([x + rng.normal(0.0, 0.15, 24), y], axis=1).astype(np.float32))
        widths.append(max(rng.uniform(0.9, 1.1 + 2.6 * severity) * unit, 0.75))
    furrow = stroked(size, lines, widths)
    bank = stroked(size, [line + floats((1.4 * unit, 0.0)) for line in lines], widths)
    fray = np.clip(0.85 + 0.25 * smooth_field(rng, size, 7 * unit), 0.45, 1.0)
    return [
        Layer(bank * fray, scene * 1.3, between(0.06, 0.55, severity)),
        Layer(furrow * fray, scene * 0.55, between(0.16, 0.85, severity)),
    ]


def _super_elevation(rng: np.random.Generator, build: Build, scene: Floats, severity: float) -> list[Layer]:
    """Warped edges of parts that rise out of the powder: short crests, shaded before and bright behind."""
    size = scene.shape[-1]
    unit = size / 256.0
    crests, widths = [], []
    level = rng.uniform(0.2, 0.8) * size
    anchors = [part.mean(axis=0) * size for part in build.parts] or [floats((0.5 * size, 0.5 * size))]
    anchor = anchors[rng.integers(len(anchors))]
    count = 1 + round(severity * rng.integers(2, 6))
    gap = rng.uniform(15.0, 24.0) * unit
    for number in range(count):
        x = np.clip(anchor[0] + (number - (count - 1) / 2) * gap, 0.08 * size, 0.92 * size)
        half = between(4.0, 9.5, severity) * rng.uniform(0.6, 1.2) * unit
        along = np.linspace(-half, half, 12)
        sag = rng.normal(0.0, 0.5 * unit, 12).cumsum() * 0.5
        crests.append(np.stack([x + along, 0.5 * (anchor[1] + level) + sag], axis=1).astype(np.float32))
        widths.append(max(between(1.0, 2.8, severity) * rng.uniform(0.8, 1.2) * unit, 0.9))
    lit = [crest + floats((0.3 * unit, 1.3 * unit)) for crest in crests]
    metal = np.clip(scene * 1.7 + 0.12 + 0.1 * smooth_field(rng, size, 3 * unit), 0.0, 1.0)
    return [
        Layer(stroked(size, lit, widths), metal, between(0.06, 0.8, severity)),
        Layer(stroked(size, crests, widths), scene * 0.35, between(0.18, 0.92, severity)),
    ]


def _uneven_powder(rng: np.random.Generator, build: Build, scene: Floats, severity: float) -> list[Layer]:
    """Draw a patch, mostly along a wall, where the blade left too little powder: dull swirls with dark folds."""
    del build
    size = scene.shape[-1]
    unit = size / 256.0
    near_wall = rng.random() < 0.7
    across = rng.choice([0.1, 0.9]) if near_wall else rng.uniform(0.25, 0.75)
    x, y = across * size, rng.uniform(0.25, 0.8) * size
    radius = between(12.0, 38.0, severity) * rng.uniform(0.85, 1.15) * unit
    patch = blob(rng, (0.0, 0.0), radius, 0.25) * floats((0.7, 1.6)) + floats((x, y))
    folds = np.abs(fractal_field(rng, size, 18 * unit))
    crease = np.exp(-((folds / 0.16) ** 2))
    dull = 1.0 - 0.05 * (1.0 + severity) - 0.38 * crease + 0.1 * smooth_field(rng, size, 9 * unit)
    edge = np.clip(blurred(filled(size, patch), 2.0 * unit), 0.0, 1.0)
    return [Layer(edge, np.clip(scene * dull, 0.0, 1.0), between(0.22, 1.0, severity))]


def _spatter(rng: np.random.Generator, build: Build, scene: Floats, severity: float) -> list[Layer]:
    """Draw droplets thrown from the melt pool: bright beads and dark ones, each with a shadow, in a drifting cloud."""
    del build
    size = scene.shape[-1]
    unit = size / 256.0
    count = round(between(6, 70, severity))
    heart = rng.uniform(0.2 * size, 0.8 * size, 2)
    cloud = rng.normal(0.0, 1.0, (count, 2)) * (between(9, 26, severity) * unit, between(9, 20, severity) * unit)
    centres = (heart + cloud @ _turn(float(rng.uniform(0.0, np.pi)))).astype(np.float32)
    radii = np.clip(rng.lognormal(between(-0.25, 0.3, severity), 0.4, (count, 1)), 0.5, 3.0) * max(unit, 0.6)
    both = np.repeat(radii, 2, axis=1).astype(np.float32)
    flat = np.zeros(count, dtype=np.float32)
    bright = rng.random(count) < 0.6
    shade = centres + floats((0.5, 0.7)) * both
    return [
        Layer(ellipses(size, shade, both, flat), scene * 0.5, between(0.12, 0.8, severity)),
        Layer(
            ellipses(size, centres[~bright], both[~bright], flat[~bright]), scene * 0.3, between(0.15, 0.85, severity)
        ),
        Layer(
            ellipses(size, centres[bright], both[bright], flat[bright]),
            np.clip(scene * 1.9, 0, 1),
            between(0.1, 0.9, severity),
        ),
    ]


_LAYERS = {
    "recoater_streak": _recoater_streak,
    "super_elevation": _super_elevation,
    "uneven_powder": _uneven_powder,
    "spatter": _spatter,
}
