"""Fiber end faces under a microscope: a light ferrule, a dark cladding, and a core that is lit or not.

The cladding is 125 um wide, which gives the scale. Kinds are the core sizes; a group is a connector, whose look, light
and fiber stay the same from image to image while the stage and the focus wander.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import blurred, coverage, fractal_field, grain, make_camera, pixel_grid, smooth_field
from .defects import Layer, Truth, between, photographed
from .drawing import Bytes, Drawing, Floats, Identity, check_request, floats
from .shapes import blob, ellipses, filled, scaled, stroked, wander

DEFECTS = ("scratch", "pit", "chip", "contamination")
CORES_UM = {"9um": 9.0, "50um": 50.0, "91um": 91.0}
CLADDING_UM = 125.0


@dataclass(frozen=True)
class EndFace:
    """Where the fiber lies and how bright its parts are; lengths in pixels, light in [0, 1].

    Attributes:
        aspect: A circle's radius along x over that along y, in pixels that are not square.
        tilt: What foreshortening leaves of a diameter, at most 1.
        tilt_angle: Direction in which it does, in radians from x.
        rings: Circles within the cladding: radius, and how much brighter it is inside of it.
        core_rim: How strong the core's diffraction rim is, of what a lit one has.
    """

    kind: str
    x: float
    y: float
    core_radius: float
    cladding_radius: float
    ferrule: float
    cladding: float
    core: float
    aspect: float = 1.0
    tilt: float = 1.0
    tilt_angle: float = 0.0
    rings: tuple[tuple[float, float], ...] = ()
    core_rim: float = 1.0

    def distance(self, size: int) -> Floats:
        """Return every pixel's distance from the fiber's axis, on the end face, in pixels along y."""
        x, y = pixel_grid(size)
        along_x, along_y = x - self.x, y - self.y
        if self.aspect != 1.0:
            along_x = along_x / self.aspect
        if self.tilt != 1.0:
            cos, sin = np.cos(self.tilt_angle), np.sin(self.tilt_angle)
            short, long = (cos * along_x + sin * along_y) / self.tilt, cos * along_y - sin * along_x
            return floats(np.sqrt(short**2 + long**2))
        return floats(np.sqrt(along_x**2 + along_y**2))


def draw(identity: Identity, size: int, defect: str | None = None, severity: float = 0.0) -> Drawing:
    """Draw a fiber end face, with ``zones``.

    Args:
        identity: Which image; `group` numbers the connector.
        size: Height and width in pixels.
        defect: One of `DEFECTS`, or None for a good image.
        severity: 0 barely visible to 1 gross.

    Raises:
        DrawingError: If size, defect or severity cannot be drawn.
    """
    check_request(size, defect, severity, DEFECTS)
    face = end_face(identity, size)
    camera = make_camera(identity, size, exposure=0.09, blur=0.9, noise=0.012, tilt=0.06)
    scene = blurred(draw_scene(identity, face, size), camera.blur)
    layers = LAYERS[defect](identity.own(defect), face, scene, severity) if defect else []
    truth = Truth(defect, severity, face.kind, f"connector_{identity.group:04d}")
    return photographed(camera, scene, layers, identity, truth, draw_zones(face, size))


def end_face(identity: Identity, size: int) -> EndFace:
    """Place a face and light it."""
    group, own = identity.shared("face"), identity.own("pose")
    kind = tuple(CORES_UM)[identity.group % len(CORES_UM)]
    radius = size * group.uniform(0.27, 0.31) * own.uniform(0.99, 1.01)
    middle = (size - 1) / 2
    x, y = middle + size * (group.uniform(-0.05, 0.05, 2) + own.uniform(-0.04, 0.04, 2))
    lit = group.random() < 0.4
    cladding = group.uniform(0.26, 0.36)
    core = group.uniform(0.7, 0.85) if lit else cladding + group.uniform(0.05, 0.14)
    return EndFace(
        kind=kind,
        x=float(x),
        y=float(y),
        core_radius=float(radius * CORES_UM[kind] / CLADDING_UM),
        cladding_radius=float(radius),
        ferrule=float(group.uniform(0.58, 0.8)),
        cladding=float(cladding),
        core=float(core),
    )


def draw_zones(face: EndFace, size: int) -> Bytes:
    """Return (size, size) zone ids: 1 core, 2 cladding, 3 ferrule."""
    distance = face.distance(size)
    zones = np.full((size, size), 3, dtype=np.uint8)
    zones[distance <= face.cladding_radius] = 2
    zones[distance <= face.core_radius] = 1
    return zones


def draw_scene(identity: Identity, face: EndFace, size: int) -> Floats:
    """Draw the flawless face: ceramic, cladding with its rim, core, and the harmless specks every ferrule has."""
    own, group = identity.own("texture"), identity.shared("texture")
    distance = face.distance(size)
    unit = size / 256.0
    ceramic = face.ferrule + 0.006 * fractal_field(own, size, 6 * unit, octaves=2) + 0.008 * grain(own, size, 0.7)
    inside = coverage(distance - face.cladding_radius)
    index_step = coverage(distance - 0.6 * face.cladding_radius) * group.uniform(0.004, 0.02)
    glass = face.cladding + index_step + 0.003 * smooth_field(own, size, 30 * unit)
    for radius, brighter in face.rings:
        glass = glass + coverage(distance - radius) * brighter
    core = coverage(distance - face.core_radius)
    dome = 1.0 - group.uniform(0.0, 0.12) * (distance / max(face.core_radius, 1.0)) ** 2
    scene = ceramic + inside * (glass - ceramic)
    scene += core * (face.core * np.clip(dome, 0.5, 1.0) - scene)
    scene += _rims(identity, face, distance, unit)
    return _specks(identity, face, floats(scene))[None]


def _rims(identity: Identity, face: EndFace, distance: Floats, unit: float) -> Floats:
    """Draw the diffraction rims: bright around the cladding, dark within, faint around the core."""
    group, own = identity.shared("rims"), identity.own("rims")
    wobble = 1.0 + 0.3 * smooth_field(own, distance.shape[0], 12 * unit)
    sharp = (max(1.0, 1.1 * unit), max(0.9, 0.9 * unit))
    bright = group.uniform(0.08, 0.16) * _ring(distance, face.cladding_radius + 2.0 * unit, sharp[0])
    dark = group.uniform(0.06, 0.16) * _ring(distance, face.cladding_radius - 0.6 * unit, sharp[1]) * wobble
    core = face.core_rim * group.uniform(0.02, 0.06) * _ring(distance, face.core_radius + 1.0 * unit, sharp[0])
    return floats(bright - dark - core)


def _ring(distance: Floats, radius: float, width: float) -> Floats:
    return floats(np.exp(-0.5 * ((distance - radius) / width) ** 2))


def _specks(identity: Identity, face: EndFace, scene: Floats) -> Floats:
    """Add what is not a defect: a few faint specks on the ferrule and flecks of adhesive at the cladding's rim."""
    own, size = identity.own("specks"), scene.shape[-1]
    unit = size / 256.0
    count = own.poisson(5) + 1
    anywhere = own.uniform(0, size, (count, 2))
    flecks = own.poisson(3)
    angle = own.uniform(0.0, 2.0 * np.pi, flecks)
    rim = np.stack(
        [face.x + face.cladding_radius * np.cos(angle), face.y + face.cladding_radius * np.sin(angle)], axis=1
    )
    centres = floats(np.concatenate([anywhere, rim]))
    radii = floats(own.uniform(0.3, 0.75, (len(centres), 2)) * max(unit, 0.6))
    far = np.linalg.norm(centres - floats((face.x, face.y)), axis=1) >= 0.98 * face.cladding_radius
    spots = ellipses(size, centres[far], radii[far], floats(own.uniform(0, np.pi, len(centres)))[far])
    return scene + spots * own.uniform(0.2, 0.5) * (0.12 - scene)


def _scratch(rng: np.random.Generator, face: EndFace, scene: Floats, severity: float) -> list[Layer]:
    """Draw a bundle of nearly parallel grooves across the face: dark, with a bright flank, broken here and there."""
    size = scene.shape[-1]
    unit = size / 256.0
    aim = rng.uniform(0.0, 2.0 * np.pi)
    miss = face.cladding_radius * rng.uniform(-1.1, 1.1)
    length = size * between(0.3, 1.0, severity) * rng.uniform(0.8, 1.2)
    across = np.array([-np.sin(aim), np.cos(aim)])
    along = np.array([np.cos(aim), np.sin(aim)])
    first = np.array([face.x, face.y]) + across * miss - along * length * rng.uniform(0.35, 0.65)
    bend, spacing = rng.uniform(0.1, 0.5), rng.uniform(3.0, 6.0) * unit
    curve = wander(rng, (0.0, 0.0), aim, length, bend)
    lines, widths = [], []
    for groove in range(1 + round(severity * rng.integers(2, 7))):
        start, stop = np.sort(rng.choice(33, 2, replace=False)) if groove else (0, 32)
        drift = across * spacing * groove * np.linspace(0.7, 1.3, 33)[:, None]
        lines.append((curve + first + drift + along * spacing * rng.normal())[start : stop + 1].astype(np.float32))
        widths.append(max(rng.uniform(0.8, 1.1 + 0.7 * severity) * unit, 0.75))
    groove_cover = stroked(size, lines, widths)
    wear = np.clip(0.85 + 0.3 * smooth_field(rng, size, 10 * unit), 0.55, 1.0)
    flank = stroked(size, [line + floats(across * 1.2 * unit) for line in lines], widths)
    return [
        Layer(flank * wear, np.minimum(scene + 0.3, 1.0), between(0.06, 0.45, severity)),
        Layer(groove_cover * wear, scene * 0.25, between(0.14, 0.85, severity)),
    ]


def _pit(rng: np.random.Generator, face: EndFace, scene: Floats, severity: float) -> list[Layer]:
    """Small round holes in core and cladding: dark, with a bright lip on one side."""
    size = scene.shape[-1]
    unit = size / 256.0
    holes, lips = [], []
    for _ in range(1 + round(severity * rng.integers(0, 4))):
        angle, reach = rng.uniform(0.0, 2.0 * np.pi), face.cladding_radius * 0.9 * rng.random() ** 0.5
        centre = (face.x + reach * np.cos(angle), face.y + reach * np.sin(angle))
        radius = max(between(1.2, 4.5, severity) * rng.uniform(0.7, 1.2) * unit, 0.9)
        hole = blob(rng, centre, radius, 0.12, rng.uniform(1.0, 1.5))
        holes.append(hole)
        lips.append(scaled(hole, centre, 1.35, shift=0.45))
    return [
        Layer(filled(size, *lips), np.minimum(scene + 0.18, 1.0), between(0.08, 0.5, severity)),
        Layer(filled(size, *holes), scene * 0.3, between(0.2, 0.95, severity)),
    ]


def _chip(rng: np.random.Generator, face: EndFace, scene: Floats, severity: float) -> list[Layer]:
    """Draw a bite out of the cladding's edge, with conchoidal facets that catch the light."""
    size = scene.shape[-1]
    unit = size / 256.0
    angle = rng.uniform(0.0, 2.0 * np.pi)
    depth = max(between(2.0, 13.0, severity) * rng.uniform(0.85, 1.15) * unit, 1.3)
    reach = face.cladding_radius - 0.35 * depth
    centre = (face.x + reach * np.cos(angle), face.y + reach * np.sin(angle))
    bite = blob(rng, centre, depth, 0.3, rng.uniform(1.0, 1.9))
    facet = scaled(bite, centre, 0.55, shift=-0.2 * depth)
    within = coverage(face.distance(size) - face.cladding_radius - unit)
    facets = 0.16 + 0.12 * smooth_field(rng, size, 4 * unit)
    cover = filled(size, bite) * within
    return [
        Layer(cover, np.clip(facets, 0.03, 0.5), between(0.25, 0.95, severity)),
        Layer(filled(size, facet) * within, np.clip(facets + 0.3, 0.0, 1.0), between(0.05, 0.6, severity)),
    ]


def _contamination(rng: np.random.Generator, face: EndFace, scene: Floats, severity: float) -> list[Layer]:
    """Dust flakes and the droplets of a dried film, scattered along a smear."""
    size = scene.shape[-1]
    unit = size / 256.0
    angle, reach = rng.uniform(0.0, 2.0 * np.pi), face.cladding_radius * rng.uniform(0.0, 1.5)
    heart = np.array([face.x + reach * np.cos(angle), face.y + reach * np.sin(angle)])
    heart = np.clip(heart, 0.08 * size, 0.92 * size)
    flakes = []
    for _ in range(1 + round(severity * rng.integers(1, 5))):
        centre = heart + rng.normal(0.0, 7.0 * unit, 2)
        radius = max(between(1.6, 7.5, severity) * rng.uniform(0.5, 1.1) * unit, 1.0)
        flakes.append(blob(rng, (float(centre[0]), float(centre[1])), radius, 0.45, rng.uniform(1.0, 3.0)))
    count = round(between(3, 60, severity))
    smear = rng.normal(0.0, 1.0, (count, 2)) * (between(5, 18, severity) * unit, 4 * unit)
    turn = rng.uniform(0.0, np.pi)
    drops = heart + smear @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    radii = np.repeat(rng.uniform(0.5, 1.5, (count, 1)) * max(unit, 0.7), 2, axis=1)
    specks = ellipses(size, drops.astype(np.float32), radii.astype(np.float32), np.zeros(count, dtype=np.float32))
    skin = np.clip(0.17 + 0.09 * smooth_field(rng, size, 3 * unit), 0.03, 0.45)
    return [
        Layer(specks, scene * 0.55, between(0.2, 0.75, severity)),
        Layer(filled(size, *flakes), skin, between(0.16, 0.92, severity)),
    ]


LAYERS = {"scratch": _scratch, "pit": _pit, "chip": _chip, "contamination": _contamination}
