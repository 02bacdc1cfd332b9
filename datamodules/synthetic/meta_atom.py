"""Tiles of a meta-atom array: one pillar, out of focus, lit from the side, with its neighbours at the tile's borders.

A group is an array of ``ROWS`` x ``COLUMNS`` tiles, cut at a pitch that does not quite match the pillars', so that they
drift from tile to tile, as in real arrays. Kinds are the pillars' shapes. A tile's slot is its place in the array, row
by row.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import cv2
import numpy as np

from .canvas import blurred, coverage, fractal_field, make_camera, pixel_grid, rgb, smooth_field
from .defects import between, changed, replace
from .drawing import Drawing, DrawingError, Floats, Identity, Mask, check_request, floats

DEFECTS = ("missing", "collapsed", "stitching", "irregular")
KINDS = {"disc": 2.0, "square": 4.0}
ROWS, COLUMNS = 4, 5
VISIBLE = 2.0 / 255.0


@dataclass(frozen=True)
class Pillar:
    """One pillar and its surroundings, on the scale of the tile: lengths are fractions of its size.

    Attributes:
        kind: Shape of the pillar's top.
        x: Centre of the pillar.
        y: The same.
        radius: Half its width.
        stretch: Ratio of its width to its height.
        turn: Rotation in radians.
        power: Exponent of the superellipse: 2 a disc, 4 a square with round corners.
        pitch: Distance to the neighbours.
        lamp: Direction of the light in radians.
        soft: Standard deviation of the optics' blur.
        colour: The substrate's RGB.
        top: Light of the pillar's top relative to the substrate.
        rim: Strength of the dark rim, 0 to 1.
        presence: 1 standing, 0 gone.
        relief: How much the light from one side shows, 1 as usual.
        lobes: Strengths and phases of the waves 2, 3, ... that distort the outline.
    """

    kind: str
    x: float
    y: float
    radius: float
    stretch: float
    turn: float
    power: float
    pitch: float
    lamp: float
    soft: float
    colour: tuple[float, float, float]
    top: float
    rim: float
    presence: float = 1.0
    relief: float = 1.0
    lobes: tuple[tuple[float, float], ...] = ()


def draw(identity: Identity, size: int, defect: str | None = None, severity: float = 0.0) -> Drawing:
    """Draw a tile, in RGB, with its one-based ``row`` and ``col``.

    All masks but the one of `stitching` are the pillar's footprint with the rim and shadow that the defect changed.
    Stitching shifts the pattern on one side of a seam between two write fields; its mask is the seam and what visibly
    changed beside it, since a shifted empty substrate is the same substrate.

    Args:
        identity: Which tile; `group` numbers the array, `slot` the tile in it.
        size: Height and width in pixels.
        defect: One of `DEFECTS`, or None for a good tile.
        severity: 0 barely visible to 1 gross.

    Raises:
        DrawingError: If the slot lies outside the array, or size, defect or severity cannot be drawn.
    """
    check_request(size, defect, severity, DEFECTS)
    if identity.slot >= ROWS * COLUMNS:
        raise DrawingError(
            f"Expected a slot below {ROWS * COLUMNS} (rows x columns), got {identity.slot}; use the next group."
        )
    row, col = divmod(identity.slot, COLUMNS)
    pillar = draw_pillar(identity, row, col)
    camera = make_camera(identity, size, exposure=0.11, blur=0.6, noise=0.007, tilt=0.05)
    substrate = _substrate(identity, pillar, size)
    scene = _scene(pillar, substrate)
    mask = np.zeros((size, size), dtype=np.bool_)
    if defect is not None:
        scene, mask = _SPOIL[defect](identity.own(defect), pillar, substrate, scene, severity)
    return Drawing(
        image=camera.photograph(scene, identity.own("noise")),
        mask=mask,
        defect=defect,
        severity=severity if defect else 0.0,
        kind=pillar.kind,
        group=f"array_{identity.group:04d}",
        row=row + 1,
        col=col + 1,
    )


def draw_pillar(identity: Identity, row: int, col: int) -> Pillar:
    """Draw lots for the pillar of a tile: its array's habits, and its own small departures from them."""
    group, own = identity.shared("array"), identity.own("pillar")
    kind = tuple(KINDS)[identity.group % len(KINDS)]
    drift = group.uniform(-0.045, 0.045, 4)
    start = group.uniform(-0.06, 0.06, 2)
    jitter = own.normal(0.0, 0.012, 2)
    step = np.array([row - (ROWS - 1) / 2, col - (COLUMNS - 1) / 2])
    green = group.uniform(0.33, 0.45)
    return Pillar(
        kind=kind,
        x=float(0.5 + start[0] + drift[:2] @ step + jitter[0]),
        y=float(0.5 + start[1] + drift[2:] @ step + jitter[1]),
        radius=float(group.uniform(0.21, 0.25) * own.uniform(0.97, 1.03)),
        stretch=float(group.uniform(0.93, 1.07) * own.uniform(0.98, 1.02)),
        turn=float(group.uniform(-0.1, 0.1) + own.normal(0.0, 0.02)),
        power=KINDS[kind],
        pitch=float(group.uniform(0.76, 0.88)),
        lamp=float(group.uniform(0.0, 2.0 * np.pi)),
        soft=float(group.uniform(0.018, 0.028) * own.uniform(0.8, 1.2)),
        colour=(float(green * group.uniform(0.96, 1.04)), float(green), float(green * group.uniform(0.56, 0.7))),
        top=float(group.uniform(1.0, 1.1)),
        rim=float(group.uniform(0.28, 0.45) * own.uniform(0.9, 1.1)),
    )


def _substrate(identity: Identity, pillar: Pillar, size: int) -> Floats:
    """Draw the empty substrate: one colour, stained a little."""
    own = identity.own("substrate")
    stain = 1.0 + 0.02 * fractal_field(own, size, size / 3.0) + 0.008 * smooth_field(own, size, size / 20.0)
    hue = 0.012 * smooth_field(own, size, size / 2.0) * rgb(1.0, 0.0, -1.0)
    return floats((stain + hue) * rgb(*pillar.colour))


def _scene(pillar: Pillar, substrate: Floats) -> Floats:
    """Stand the pillar and what shows of its neighbours on the substrate, as the optics blur them."""
    size = max(substrate.shape[-1] // 2, 32)  # the optics blur far more than half the resolution loses
    light = shade(pillar, size)
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        beside = dataclasses.replace(
            pillar, x=pillar.x + dx * pillar.pitch, y=pillar.y + dy * pillar.pitch, presence=1.0, lobes=()
        )
        if -0.38 < beside.x < 1.38 and -0.38 < beside.y < 1.38:
            light *= shade(beside, size)
    full = substrate.shape[1:]
    return floats(substrate * cv2.resize(blurred(light, pillar.soft * size), full, interpolation=cv2.INTER_LINEAR))


def outside(pillar: Pillar, size: int) -> Floats:
    """Return about how far each pixel lies outside the pillar's outline, in tiles (negative inside)."""
    x, y = pixel_grid(size)
    dx, dy = (x + 0.5) / size - pillar.x, (y + 0.5) / size - pillar.y
    along = (dx * math.cos(pillar.turn) + dy * math.sin(pillar.turn)) / pillar.stretch**0.5
    across = (dy * math.cos(pillar.turn) - dx * math.sin(pillar.turn)) * pillar.stretch**0.5
    if pillar.power == KINDS["disc"]:
        reach = np.sqrt(along * along + across * across)
    else:
        reach = np.sqrt(np.sqrt(np.square(along * along) + np.square(across * across)))
    outline = pillar.radius
    if pillar.lobes:
        angle = np.arctan2(across, along)
        for wave, (strength, phase) in enumerate(pillar.lobes, start=2):
            outline = outline + pillar.radius * strength * np.cos(wave * angle + phase)
    return floats(reach - outline)


def shade(pillar: Pillar, size: int) -> Floats:
    """Return the factor by which a pillar changes the light: a top lit from one side, a dark rim, a halo."""
    distance = outside(pillar, size)
    x, y = pixel_grid(size)
    toward = ((x + 0.5) / size - pillar.x) * math.cos(pillar.lamp) + ((y + 0.5) / size - pillar.y) * math.sin(
        pillar.lamp
    )
    toward = np.clip(toward / pillar.radius, -1.3, 1.3) * pillar.relief
    top = coverage(distance * size) * (pillar.top - 1.0 + 0.11 * toward)
    rim = pillar.rim * (1.0 - 0.6 * toward) * np.exp(-((distance / 0.022) ** 2))
    halo = 0.15 * np.clip(1.0 - np.maximum(distance, 0.0) / 0.12, 0.0, 1.0) ** 2
    return floats(1.0 + pillar.presence * (top - rim - halo))


def _missing(
    rng: np.random.Generator, pillar: Pillar, substrate: Floats, scene: Floats, severity: float
) -> tuple[Floats, Mask]:
    """The pillar is gone, or at low severity under-developed and faint."""
    presence = max(1.0 - between(0.22, 1.0, severity) * rng.uniform(0.95, 1.05), 0.0)
    faint = dataclasses.replace(pillar, presence=presence)
    altered = _scene(faint, substrate)
    return _swap(scene, altered, _footprint(pillar, scene) | changed(scene, altered, VISIBLE))


def _collapsed(
    rng: np.random.Generator, pillar: Pillar, substrate: Floats, scene: Floats, severity: float
) -> tuple[Floats, Mask]:
    """The pillar fell over or burst: a dark disc in its place, larger and darker the worse it is."""
    size = scene.shape[-1]
    angle, lean = rng.uniform(0.0, 2.0 * np.pi), 0.07 * severity * rng.random()
    lobes = tuple((float(rng.normal(0.0, 0.035)), float(rng.uniform(0.0, 2.0 * np.pi))) for _ in range(3))
    fallen = dataclasses.replace(
        pillar,
        x=pillar.x + lean * math.cos(angle),
        y=pillar.y + lean * math.sin(angle),
        radius=pillar.radius * between(0.85, 1.15, severity),
        power=KINDS["disc"],
        lobes=lobes,
    )
    distance = outside(fallen, size)
    pool = blurred(coverage(distance * size), 1.1 * pillar.soft * size)
    dark = 0.42 + 0.05 * smooth_field(rng, size, size / 6.0)
    opacity = between(0.14, 0.95, severity)
    altered = floats(scene + opacity * pool * (substrate * dark - scene))
    return _swap(scene, altered, _footprint(fallen, scene) | changed(scene, altered, VISIBLE))


def _stitching(
    rng: np.random.Generator, pillar: Pillar, substrate: Floats, scene: Floats, severity: float
) -> tuple[Floats, Mask]:
    """Two write fields meet in this tile: beyond the seam the pattern is shifted, and the seam was exposed twice."""
    size = scene.shape[-1]
    upright, far = rng.random() < 0.5, rng.random() < 0.5
    centre = pillar.x if upright else pillar.y
    seam = (centre + rng.uniform(-0.4, 0.4) * pillar.radius) * size
    shift = np.array([rng.uniform(-0.4, 0.4), rng.choice([-1.0, 1.0])]) * between(0.02, 0.22, severity)
    dx, dy = shift if upright else shift[::-1]
    moved = _scene(dataclasses.replace(pillar, x=pillar.x + dx, y=pillar.y + dy), substrate)
    x, y = pixel_grid(size)
    along = np.broadcast_to(x if upright else y, (size, size)) - seam
    beyond = np.clip((along if far else -along) + 0.5, 0.0, 1.0)
    line = np.exp(-((along / max(0.008 * size, 0.8)) ** 2)) * between(0.04, 0.16, severity)
    altered = (scene + beyond * (moved - scene)) * (1.0 - line)
    seen = changed(scene, altered, VISIBLE)
    return _swap(scene, np.asarray(altered, dtype=np.float32), seen | (np.abs(along) <= max(0.01 * size, 1.0)))


def _irregular(
    rng: np.random.Generator, pillar: Pillar, substrate: Floats, scene: Floats, severity: float
) -> tuple[Floats, Mask]:
    """The pillar's outline is off: lobed, elongated or shrunk on one side."""
    reach = between(0.05, 0.2, severity)
    weights = rng.dirichlet((1.5, 1.0, 0.6)) * 1.5
    lobes = tuple((float(reach * weight), float(rng.uniform(0.0, 2.0 * np.pi))) for weight in weights)
    altered = _scene(dataclasses.replace(pillar, lobes=lobes), substrate)
    return _swap(scene, altered, changed(scene, altered, VISIBLE))


def _footprint(pillar: Pillar, scene: Floats) -> Mask:
    return np.asarray(outside(pillar, scene.shape[-1]) <= 0.0)


def _swap(scene: Floats, altered: Floats, mask: Mask) -> tuple[Floats, Mask]:
    return replace(scene, altered, mask), mask


_SPOIL = {"missing": _missing, "collapsed": _collapsed, "stitching": _stitching, "irregular": _irregular}
