"""Micrographs of etched metal: grains in the colours of the etch, and the small dark inclusions that every steel has.

A group is a scan, of which the images are fields: they share etch, grain size, cleanliness and light. Kinds are the
etches. Normal inclusions are not defects: what is anomalous is their size, shape or arrangement.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .canvas import blurred, fractal_field, grain, make_camera, pixel_grid, rgb, smooth_field, white_noise
from .defects import Layer, Truth, between, photographed
from .drawing import Drawing, Floats, Identity, check_request, floats
from .shapes import blob, ellipses, filled, scaled, stroked, wander

DEFECTS = ("inclusion", "stringer", "crack", "porosity")
ETCHES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "ochre": (
        (0.66, 0.55, 0.26), (0.43, 0.28, 0.13), (0.80, 0.74, 0.52), (0.55, 0.43, 0.40),
        (0.55, 0.58, 0.80), (0.56, 0.44, 0.14), (0.74, 0.62, 0.24),
    ),
    "azure": (
        (0.34, 0.50, 0.80), (0.57, 0.58, 0.79), (0.40, 0.36, 0.60), (0.78, 0.74, 0.60),
        (0.56, 0.47, 0.34), (0.45, 0.62, 0.85), (0.62, 0.57, 0.66),
    ),
}  # fmt: skip
INK = rgb(0.05, 0.06, 0.10)


@dataclass(frozen=True)
class Scan:
    """What the fields of a scan have in common.

    Attributes:
        kind: The etch.
        weights: (7,) share of each of its colours.
        grain: Mean grain diameter in pixels of an image of 256.
        relief: Strength of the striations within grains.
        inclusions: Mean number of normal inclusions in a field.
        rolling: Direction of rolling in radians, along which stringers lie.
    """

    kind: str
    weights: npt.NDArray[np.float64]
    grain: float
    relief: float
    inclusions: float
    rolling: float


def draw(identity: Identity, size: int, defect: str | None = None, severity: float = 0.0) -> Drawing:
    """Draw one field of a scan, in RGB.

    Args:
        identity: Which image; `group` numbers the scan.
        size: Height and width in pixels.
        defect: One of `DEFECTS`, or None for a good image.
        severity: 0 barely visible to 1 gross.

    Raises:
        DrawingError: If size, defect or severity cannot be drawn.
    """
    check_request(size, defect, severity, DEFECTS)
    scan = _scan(identity)
    camera = make_camera(identity, size, exposure=0.1, blur=0.9, noise=0.014, tilt=0.07)
    scene = blurred(_with_inclusions(identity, scan, _grains(identity, scan, size)), camera.blur)
    layers = _LAYERS[defect](identity.own(defect), scan, scene, severity) if defect else []
    truth = Truth(defect, severity, scan.kind, f"scan_{identity.group:04d}")
    return photographed(camera, scene, layers, identity, truth)


def _scan(identity: Identity) -> Scan:
    group = identity.shared("scan")
    kind = tuple(ETCHES)[identity.group % len(ETCHES)]
    return Scan(
        kind=kind,
        weights=group.dirichlet(np.full(len(ETCHES[kind]), 2.5)),
        grain=float(group.uniform(34.0, 56.0)),
        relief=float(group.uniform(0.02, 0.055)),
        inclusions=float(group.uniform(14.0, 40.0)),
        rolling=float(group.uniform(0.0, np.pi)),
    )


def _grains(identity: Identity, scan: Scan, size: int) -> Floats:
    """Draw the grains: Voronoi cells that join into grains with lobed borders, each with its own striations."""
    own = identity.own("grains")
    unit = size / 256.0
    owner, count = _grain_map(own, size, scan.grain * unit)
    palette = floats(ETCHES[scan.kind])
    tone = palette[own.choice(len(palette), count, p=scan.weights)].astype(np.float64)
    tone += 0.15 * (tone.mean(axis=1, keepdims=True) - tone)  # the etch is less pure than its colours
    tone = tone * own.uniform(0.86, 1.12, (count, 1)) + own.normal(0.0, 0.025, (count, 3))
    scene = np.stack([channel.take(owner, mode="clip") for channel in floats(tone.T)])
    light = _striations(own, owner, count, scan.relief, unit)
    light += 0.03 * fractal_field(own, size, 26 * unit) + 0.018 * grain(own, size, 0.9)
    return floats(scene * (1.0 + light))


def _grain_map(rng: np.random.Generator, size: int, diameter: float) -> tuple[npt.NDArray[np.intp], int]:
    """Return for every pixel the number of its grain, and how many grains there are."""
    extent = size + 2.0 * diameter
    count = max(int((extent / diameter) ** 2), 4)
    hearts = rng.uniform(-diameter, size + diameter, (count, 2))
    cells = rng.integers(0, size, (max(int((size / max(0.22 * diameter, 2.0)) ** 2), 16), 2))
    growth = rng.uniform(0.7, 1.3, count)
    away = np.square(cells[:, :1] - hearts[:, 0]) + np.square(cells[:, 1:] - hearts[:, 1])
    grain_of_cell = (away / growth**2).argmin(axis=1)
    seeds = np.full((size, size), 255, dtype=np.uint8)
    seeds[cells[:, 1], cells[:, 0]] = 0
    _, nearest = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    grain_of_label = np.zeros(int(nearest.max()) + 1, dtype=np.intp)
    grain_of_label[nearest[cells[:, 1], cells[:, 0]]] = grain_of_cell
    return _ruffled(rng, grain_of_label.take(nearest.astype(np.int32), mode="clip"), diameter), count


def _ruffled(rng: np.random.Generator, owner: npt.NDArray[np.intp], diameter: float) -> npt.NDArray[np.intp]:
    """Pull the map about by a fine random field, which bends the straight borders of the cells."""
    size = owner.shape[0]
    x, y = pixel_grid(size)
    shift = 0.05 * diameter
    to_x = x + shift * smooth_field(rng, size, 0.16 * diameter)
    to_y = y + shift * smooth_field(rng, size, 0.16 * diameter)
    column = np.clip(to_x, 0, size - 1).astype(np.int32)
    row = np.clip(to_y, 0, size - 1).astype(np.int32)
    return np.asarray(owner.take(row * size + column, mode="clip"))


def _striations(
    rng: np.random.Generator, owner: npt.NDArray[np.intp], count: int, relief: float, unit: float
) -> Floats:
    """Draw parallel ridges within each grain, in its own direction; in many grains they hardly show."""
    x, y = pixel_grid(owner.shape[0])
    turn = rng.uniform(0.0, np.pi, count).astype(np.float32)
    pitch = rng.uniform(0.5, 1.1, count).astype(np.float32) / unit
    strength = (relief * rng.gamma(0.8, 1.0, count)).clip(0.0, 2.5 * relief).astype(np.float32)
    ridges = blurred(white_noise(rng, (1, 1024)), 0.8)[0]
    step_x, step_y = np.cos(turn) * pitch, np.sin(turn) * pitch
    along = x * step_x.take(owner, mode="clip") + y * step_y.take(owner, mode="clip")
    return floats(ridges.take(along.astype(np.int32), mode="wrap") * strength.take(owner, mode="clip"))


def _with_inclusions(identity: Identity, scan: Scan, scene: Floats) -> Floats:
    """Sprinkle the normal inclusions: compact, a few pixels wide, nearly black, with a faint blue halo."""
    own, size = identity.own("inclusions"), scene.shape[-1]
    unit = size / 256.0
    count = own.poisson(scan.inclusions) + 1
    centres = own.uniform(0, size, (count, 1, 2))
    radii = np.clip(own.lognormal(0.35, 0.45, (count, 1, 1)), 0.6, 3.2) * max(unit, 0.5)
    cover = filled(size, *_nuggets(own, centres, radii))
    scene = scene * (1.0 - blurred(cover, 2.0 * unit) * rgb(0.45, 0.38, 0.2))
    return scene + 0.93 * cover * (INK - scene)


def _nuggets(
    rng: np.random.Generator, centres: npt.NDArray[np.float64], radii: npt.NDArray[np.float64]
) -> list[Floats]:
    """Return compact octagons, each (8, 2), around ``centres`` (N, 1, 2) with ``radii`` (N, 1, 1)."""
    count = len(centres)
    angle = np.linspace(0.0, 2.0 * np.pi, 8, endpoint=False) + rng.uniform(0.0, np.pi, (count, 1))
    reach = radii[..., 0] * rng.uniform(0.82, 1.2, (count, 8))
    offset = np.stack([reach * np.cos(angle), reach * np.sin(angle) * rng.uniform(0.75, 1.0, (count, 1))], axis=2)
    return list((centres + offset).astype(np.float32))


def _inclusion(rng: np.random.Generator, scan: Scan, scene: Floats, severity: float) -> list[Layer]:
    """Draw an inclusion far larger and more jagged than the others, with a stained halo and glints inside."""
    del scan
    size = scene.shape[-1]
    unit = size / 256.0
    x, y = rng.uniform(0.15 * size, 0.85 * size, 2)
    radius = max(between(4.0, 17.0, severity) * rng.uniform(0.85, 1.15) * unit, 1.6)
    body = blob(rng, (float(x), float(y)), radius, 0.45, between(1.3, 2.2, rng.random()))
    depth = np.clip(0.08 + 0.05 * smooth_field(rng, size, 3.0 * unit), 0.02, 0.5)
    glint = blob(rng, (float(x + 0.2 * radius), float(y)), 0.22 * radius, 0.5)
    return [
        Layer(filled(size, scaled(body, (float(x), float(y)), 1.18)), scene * rgb(0.6, 0.64, 0.8), 0.6),
        Layer(filled(size, body), depth * rgb(0.8, 0.9, 1.4), between(0.5, 0.96, severity)),
        Layer(filled(size, glint), rgb(0.32, 0.45, 0.62), between(0.0, 0.55, severity)),
    ]


def _stringer(rng: np.random.Generator, scan: Scan, scene: Floats, severity: float) -> list[Layer]:
    """Draw inclusions broken up and strung out along the direction of rolling."""
    size = scene.shape[-1]
    unit = size / 256.0
    along = np.array([np.cos(scan.rolling), np.sin(scan.rolling)])
    length = between(0.14, 0.7, severity) * size
    count = round(between(6, 32, severity))
    place = rng.uniform(-0.5, 0.5, count) * length
    middle = np.clip(rng.uniform(0.3 * size, 0.7 * size, 2), 0.0, size)
    centres = middle + place[:, None] * along + rng.normal(0.0, 1.3 * unit, (count, 2))
    half_long = rng.lognormal(between(0.35, 0.85, severity), 0.45, count) * max(unit, 0.6)
    half_wide = np.minimum(half_long, rng.lognormal(between(-0.2, 0.35, severity), 0.35, count) * max(unit, 0.6))
    radii = np.stack([half_long, half_wide], axis=1).astype(np.float32)
    turn = (scan.rolling + rng.normal(0.0, 0.12, count)).astype(np.float32)
    return [Layer(ellipses(size, centres.astype(np.float32), radii, turn), INK, between(0.4, 0.95, severity))]


def _crack(rng: np.random.Generator, scan: Scan, scene: Floats, severity: float) -> list[Layer]:
    """A crack that zigzags from grain to grain, thins out, and branches when gross."""
    del scan
    size = scene.shape[-1]
    unit = size / 256.0
    x, y = rng.uniform(0.25 * size, 0.75 * size, 2)
    heading = rng.uniform(0.0, 2.0 * np.pi)
    length = between(0.16, 0.75, severity) * size
    start = (float(x - 0.5 * length * np.cos(heading)), float(y - 0.5 * length * np.sin(heading)))
    trunk = _zigzag(rng, wander(rng, start, heading, length, 0.35), 2.4 * unit)
    lines = [trunk, trunk[8:26]]
    widths = [between(0.9, 1.6, severity) * unit, between(0.9, 3.0, severity) * unit]
    for _ in range(round(severity * rng.integers(1, 4))):
        root = trunk[rng.integers(6, 27)]
        fork = wander(rng, (float(root[0]), float(root[1])), heading + rng.choice([-0.8, 0.8]), 0.3 * length, 0.4)
        lines.append(_zigzag(rng, fork, 1.8 * unit))
        widths.append(0.9 * unit)
    widths = [max(width, 0.75) for width in widths]
    lips = stroked(size, lines, [width + 1.6 * unit for width in widths])
    return [
        Layer(lips, np.minimum(scene * 1.25, 1.0), between(0.04, 0.35, severity)),
        Layer(stroked(size, lines, widths), 0.06, between(0.25, 0.93, severity)),
    ]


def _zigzag(rng: np.random.Generator, line: Floats, amplitude: float) -> Floats:
    return np.asarray(line + rng.normal(0.0, 0.5 * amplitude, line.shape), dtype=np.float32)


def _porosity(rng: np.random.Generator, scan: Scan, scene: Floats, severity: float) -> list[Layer]:
    """Draw a cloud of round pores of all sizes, each with a lit lower lip."""
    del scan
    size = scene.shape[-1]
    unit = size / 256.0
    count = round(between(5, 34, severity))
    heart = rng.uniform(0.25 * size, 0.75 * size, 2)
    centres = heart + rng.normal(0.0, between(6.0, 17.0, severity) * unit, (count, 2))
    radii = np.clip(rng.lognormal(between(0.0, 0.55, severity), 0.5, (count, 1)), 0.7, 5.5) * max(unit, 0.5)
    both = np.repeat(radii, 2, axis=1).astype(np.float32)
    flat = np.zeros(count, dtype=np.float32)
    lip = ellipses(size, (centres + 0.35 * radii).astype(np.float32), both * 1.1, flat)
    return [
        Layer(lip, np.minimum(scene * 1.35 + 0.05, 1.0), between(0.1, 0.7, severity)),
        Layer(ellipses(size, centres.astype(np.float32), both, flat), INK, between(0.35, 0.94, severity)),
    ]


_LAYERS = {"inclusion": _inclusion, "stringer": _stringer, "crack": _crack, "porosity": _porosity}
