"""O-rings on a light table: one dark rubber ring seen from above, with the lamp's reflections along its tube.

Kinds are the ring models; a group is a lot, photographed in one session: the same rubber, table and lamp, other rings.
The ring is drawn in polar coordinates around its centre: at the angle a, its tube runs from
``centre_line(a) - half_width`` to ``centre_line(a) + half_width``.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from .canvas import Camera, blurred, coverage, fractal_field, grain, make_camera, pixel_grid, rgb, smooth_field
from .defects import Layer, between, changed, outlines, paint, replace, solid
from .drawing import Drawing, Floats, Identity, Mask, check_request, floats
from .shapes import blob, filled, scaled

DEFECTS = ("hole", "cut", "flash", "deformation")
KINDS = {"model1": 0.036, "model2": 0.056}
MOVED_PX = 0.5


@dataclass(frozen=True)
class Ring:
    """Where the ring lies; lengths in pixels, angles in radians."""

    kind: str
    x: float
    y: float
    radius: float
    half_width: float
    ovality: float
    ovality_angle: float
    wobble: tuple[tuple[float, float], ...]
    rubber: tuple[float, float, float]
    gloss: float
    lamp: float
    dent_depth: float = 0.0
    dent_angle: float = 0.0
    dent_width: float = 1.0

    def polar(self, size: int) -> tuple[Floats, Floats]:
        """Return every pixel's distance from the centre and angle."""
        x, y = pixel_grid(size)
        dx, dy = x - self.x, y - self.y
        return np.sqrt(dx * dx + dy * dy), np.arctan2(dy, dx)

    def centre_line(self, angle: Floats) -> Floats:
        """Return the tube's distance from the centre at each ``angle``."""
        line = self.radius * (1.0 + self.ovality * np.cos(2.0 * (angle - self.ovality_angle)))
        for wave, (strength, phase) in enumerate(self.wobble, start=3):
            line = line + self.radius * strength * np.cos(wave * angle + phase)
        return np.asarray(line + self.dent(angle), dtype=np.float32)

    def dent(self, angle: Floats) -> Floats:
        """Return how far a deformation moves the tube outwards at each ``angle``."""
        if self.dent_depth == 0.0:
            return np.zeros_like(angle)
        off = (angle - self.dent_angle + np.pi) % (2.0 * np.pi) - np.pi
        return np.asarray(self.dent_depth * np.exp(-0.5 * (off / self.dent_width) ** 2), dtype=np.float32)

    def point(self, angle: float, offset: float) -> tuple[float, float]:
        """Return x and y of the point at ``angle``, ``offset`` outwards from the centre line."""
        reach = float(self.centre_line(floats([angle]))[0]) + offset
        return self.x + reach * float(np.cos(angle)), self.y + reach * float(np.sin(angle))


def draw(identity: Identity, size: int, defect: str | None = None, severity: float = 0.0) -> Drawing:
    """Draw an o-ring, in RGB, with the ``polygons`` of its defect.

    A deformation's mask is the tube, where it was and where it is, along the arc that moved by half a pixel or more,
    with the shadow that moved with it; all other masks are what was painted.

    Args:
        identity: Which image; `group` numbers the lot.
        size: Height and width in pixels.
        defect: One of `DEFECTS`, or None for a good image.
        severity: 0 barely visible to 1 gross.

    Raises:
        DrawingError: If size, defect or severity cannot be drawn.
    """
    check_request(size, defect, severity, DEFECTS)
    ring = _ring(identity, size)
    camera = make_camera(identity, size, exposure=0.09, blur=0.9, noise=0.011, tilt=0.09)
    table = _table(identity, size)
    scene = blurred(_lay(ring, table), camera.blur)
    mask = np.zeros((size, size), dtype=np.bool_)
    if defect is not None:
        scene, mask = _spoil(identity, ring, table, scene, camera, defect, severity)
    return Drawing(
        image=camera.photograph(scene, identity.own("noise")),
        mask=mask,
        defect=defect,
        severity=severity if defect else 0.0,
        kind=ring.kind,
        group=f"lot_{identity.group:04d}",
        polygons=outlines(mask),
    )


def _ring(identity: Identity, size: int) -> Ring:
    group, own = identity.shared("ring"), identity.own("pose")
    kind = tuple(KINDS)[identity.group % len(KINDS)]
    brown = group.uniform(0.0, 0.03)
    dark = group.uniform(0.05, 0.09)
    x, y = (size - 1) / 2 + size * own.uniform(-0.045, 0.045, 2)
    return Ring(
        kind=kind,
        x=float(x),
        y=float(y),
        radius=float(size * group.uniform(0.33, 0.37) * own.uniform(0.985, 1.015)),
        half_width=float(size * KINDS[kind] * group.uniform(0.95, 1.05)),
        ovality=float(own.uniform(0.0, 0.02)),
        ovality_angle=float(own.uniform(0.0, np.pi)),
        wobble=tuple((float(own.normal(0.0, 0.002)), float(own.uniform(0.0, 2.0 * np.pi))) for _ in range(3)),
        rubber=(float(dark + brown), float(dark + 0.4 * brown), float(dark)),
        gloss=float(group.uniform(0.25, 0.6)),
        lamp=float(group.uniform(0.0, 2.0 * np.pi)),
    )


def _table(identity: Identity, size: int) -> Floats:
    """Draw the matt table: off-white, slightly mottled, with the pebbled texture of its coating and some lint."""
    group, own = identity.shared("table"), identity.own("table")
    unit = size / 256.0
    shade = group.uniform(0.55, 0.75) * rgb(1.0, group.uniform(0.97, 1.0), group.uniform(0.9, 0.99))
    pebbles = group.uniform(0.006, 0.016) * grain(own, size, 1.0 * unit)
    mottle = 0.018 * fractal_field(own, size, 90 * unit)
    grey = 1.0 + pebbles + mottle
    for _ in range(own.poisson(2)):
        x, y = own.uniform(0, size, 2)
        lint = filled(size, blob(own, (float(x), float(y)), own.uniform(0.6, 1.1) * unit, 0.4, own.uniform(1.0, 3.0)))
        grey = grey * (1.0 - own.uniform(0.1, 0.35) * lint)
    return floats(grey * shade)


def _lay(ring: Ring, table: Floats) -> Floats:
    """Lay the ring on the table: its soft shadow, its rubber, and the lamp's reflections."""
    size = table.shape[-1]
    unit = size / 256.0
    reach, angle = ring.polar(size)
    line = ring.centre_line(angle)
    body = coverage(np.abs(reach - line) - ring.half_width)
    away = ring.lamp + math.pi
    shift = round(2.2 * unit * math.sin(away)), round(2.2 * unit * math.cos(away))
    shadow = blurred(np.roll(body, shift, axis=(0, 1)), 3.2 * unit)
    scene = table * (1.0 - 0.38 * shadow)
    rubber = rgb(*ring.rubber) + _shine(ring, reach - line, angle)
    scene += body * (rubber - scene)
    return scene


def _shine(ring: Ring, across: Floats, angle: Floats) -> Floats:
    """Return the light that the tube reflects: a broad sheen facing the lamp and two thin streaks along the crest.

    Args:
        ring: Its gloss and the lamp's direction.
        across: (H, W) distance from the centre line, positive outwards.
        angle: (H, W) angle around the centre.
    """
    height = across / ring.half_width
    facing = np.cos(angle - ring.lamp)
    sheen = 0.09 * np.clip(0.35 + facing * height, 0.0, 1.2)
    crest = np.exp(-np.square((height - 0.38 * facing) / 0.16))
    squared = np.square(facing)
    streaks = np.where(facing > 0.0, 1.0, 0.6 * np.square(squared)) * squared * np.square(squared) + 0.12
    return floats(sheen + ring.gloss * crest * streaks)


def _spoil(
    identity: Identity, ring: Ring, table: Floats, scene: Floats, camera: Camera, defect: str, severity: float
) -> tuple[Floats, Mask]:
    """Give the ring its defect; return the scene and a mask that polygons can describe."""
    rng = identity.own(defect)
    if defect == "deformation":
        bent = _bent(rng, ring, severity)
        altered = blurred(_lay(bent, table), camera.blur)
        mask = solid(_moved(ring, bent, scene, altered))
        return replace(scene, altered, mask), mask
    layers = _LAYERS[defect](rng, ring, table, scene, severity)
    painted, mask = paint(scene, layers, camera.blur)
    return painted, solid(mask)


def _hole(rng: np.random.Generator, ring: Ring, table: Floats, scene: Floats, severity: float) -> list[Layer]:
    """Draw voids in the rubber: matt grey pits with a bright far edge, the deepest going through to the table."""
    size = scene.shape[-1]
    pits, glints, depths = [], [], []
    for _ in range(1 + round(severity * rng.integers(0, 3))):
        radius = max(between(0.22, 0.72, severity) * ring.half_width * rng.uniform(0.8, 1.1), 1.1)
        slack = max(0.85 * ring.half_width - radius, 0.0)
        centre = ring.point(rng.uniform(0.0, 2.0 * np.pi), rng.uniform(-slack, slack))
        pit = blob(rng, centre, radius, 0.12, rng.uniform(1.0, 1.5))
        pits.append(pit)
        glints.append(scaled(pit, centre, 0.6, shift=0.25 * radius))
        depths.append(scaled(pit, centre, 0.45, shift=-0.2 * radius))
    return [
        Layer(filled(size, *pits), rgb(0.27, 0.26, 0.25), between(0.12, 0.85, severity)),
        Layer(filled(size, *glints), np.minimum(table * 0.9, 1.0), between(0.02, 0.75, severity)),
        Layer(filled(size, *depths), 0.02, between(0.1, 0.6, severity)),
    ]


def _cut(rng: np.random.Generator, ring: Ring, table: Floats, scene: Floats, severity: float) -> list[Layer]:
    """Draw a slit from the outside inwards through which the table shows; a gross one parts the ring."""
    size, unit = scene.shape[-1], scene.shape[-1] / 256.0
    angle, slant = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(-0.5, 0.5)
    wide = max(between(0.9, 5.5, severity) * rng.uniform(0.8, 1.2) * unit, 0.8) / ring.radius / 2.0
    top = ring.half_width * 1.08
    bottom = top - 2.16 * ring.half_width * between(0.3, 1.05, severity)
    lean = slant * (top - bottom) / ring.radius
    ragged = rng.normal(0.0, 0.12 * wide, 4)
    slit = [
        ring.point(angle - wide * 1.2 + ragged[0], top),
        ring.point(angle + wide * 1.2 + ragged[1], top),
        ring.point(angle + wide * 0.6 + lean + ragged[2], bottom),
        ring.point(angle - wide * 0.6 + lean + ragged[3], bottom),
    ]
    lips = [
        ring.point(angle + side * wide * 1.35 + lean * part, top - 0.1 - (top - bottom) * part)
        for side, part in ((-1, 0), (1, 0), (1, 1), (-1, 1))
    ]
    return [
        Layer(filled(size, floats(lips)) * _on_tube(ring, size), rgb(0.3, 0.29, 0.28), between(0.12, 0.5, severity)),
        Layer(filled(size, floats(slit)), table * 0.85, between(0.14, 0.97, severity)),
    ]


def _flash(rng: np.random.Generator, ring: Ring, _table: Floats, scene: Floats, severity: float) -> list[Layer]:
    """Draw a ragged fin of rubber that squeezed out of the mould's parting line, outside or inside the ring."""
    size, unit = scene.shape[-1], scene.shape[-1] / 256.0
    side = 1.0 if rng.random() < 0.7 else -1.0
    middle, half = rng.uniform(0.0, 2.0 * np.pi), between(0.07, 0.42, severity) * rng.uniform(0.7, 1.3)
    angles = np.linspace(middle - half, middle + half, 40)
    ragged = np.convolve(rng.gamma(4.0, 0.25, 44), np.full(5, 0.2), mode="valid") + rng.normal(0.0, 0.07, 40)
    rough = np.maximum(ragged, 0.05) * np.sin(np.linspace(0.0, np.pi, 40)) ** 0.4
    height = max(between(1.4, 8.0, severity) * unit, 1.2) * rough
    crest = [ring.point(float(a), side * (ring.half_width + float(h))) for a, h in zip(angles, height, strict=True)]
    foot = [ring.point(float(a), side * 0.8 * ring.half_width) for a in angles[::-1]]
    fin = filled(size, floats(crest + foot))
    film = rgb(*ring.rubber) + 0.06 + 0.02 * smooth_field(rng, size, 3 * unit)
    return [Layer(fin, np.clip(film, 0.0, 1.0), between(0.2, 0.93, severity))]


def _bent(rng: np.random.Generator, ring: Ring, severity: float) -> Ring:
    """Dent the ring inwards, or more rarely bulge it out."""
    sign = -1.0 if rng.random() < 0.75 else 1.0
    return dataclasses.replace(
        ring,
        dent_depth=sign * max(between(0.018, 0.2, severity) * ring.radius, 1.0),
        dent_angle=rng.uniform(-np.pi, np.pi),
        dent_width=rng.uniform(0.16, 0.34),
    )


def _moved(ring: Ring, bent: Ring, scene: Floats, altered: Floats) -> Mask:
    """Return the tube before and after on the arc that moved, and the shadow that visibly moved with it."""
    reach, angle = ring.polar(scene.shape[-1])
    arc = np.abs(bent.dent(angle)) >= MOVED_PX
    before = np.abs(reach - ring.centre_line(angle)) <= ring.half_width
    after = np.abs(reach - bent.centre_line(angle)) <= ring.half_width
    return np.asarray(arc & (before | after | changed(scene, altered, 0.02)))


def _on_tube(ring: Ring, size: int) -> Floats:
    reach, angle = ring.polar(size)
    return coverage(np.abs(reach - ring.centre_line(angle)) - ring.half_width)


_LAYERS = {"hole": _hole, "cut": _cut, "flash": _flash}
