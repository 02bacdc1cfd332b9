"""Defects of single cells of a whole array: those of the tiles (see ``meta_atom``), put into their place in the array.

Letters: H and W of the image, C channels, S side of a patch, in pixels.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .canvas import blurred, coverage, pixel_grid, smooth_field
from .defects import between, changed
from .drawing import Floats, Mask, floats
from .meta_atom import KINDS, VISIBLE, Pillar, outside, shade

if TYPE_CHECKING:
    import numpy.typing as npt

Window = tuple[slice, slice]
CELL = 0.43  # of a pitch, to each side: rows of a hexagonal lattice are 0.87 pitches apart
ROUND = 0.4  # of a patch: a defect's traces end this far from the pillar's middle


class Patch(NamedTuple):
    """The surroundings of one pillar.

    Attributes:
        pillar: On the scale of the patch.
        size: S.
        window: The part of the image that it covers.
        shown: The part of the patch that lies in the image.
    """

    pillar: Pillar
    size: int
    window: Window
    shown: Window

    @classmethod
    def around(cls, pillar: Pillar, centre_2: npt.NDArray[np.float64], size: int, shape: tuple[int, int]) -> Patch:
        """Lay a patch around a pillar's place, to a fraction of a pixel."""
        left, top = (math.floor(float(value) - size / 2) for value in centre_2)
        dx, dy = (float(value) - size / 2 - start for value, start in zip(centre_2, (left, top), strict=True))
        placed = dataclasses.replace(pillar, x=pillar.x + dx / size, y=pillar.y + dy / size)
        rows = slice(max(top, 0), min(top + size, shape[0]))
        columns = slice(max(left, 0), min(left + size, shape[1]))
        shown = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
        return cls(placed, size, (rows, columns), shown)


def spoil(
    scene: Floats,
    substrate: Floats,
    shade_HW: Floats,
    patch: Patch,
    defect: str,
    severity: float,
    rng: np.random.Generator,
) -> Mask:
    """Put a defect into a scene, in place; return where it changed it, (H, W).

    Args:
        scene: (C, H, W), blurred.
        substrate: The empty substrate, (C, H, W).
        shade_HW: The factor of all pillars, sharp.
        patch: Of the cell.
        defect: One of ``meta_atom.DEFECTS``.
        severity: 0 to 1.
        rng: Decides the rest.
    """
    before = scene[:, *patch.window].copy()
    if defect == "collapsed":
        ground = substrate[:, *patch.window]
        # A bright pillar that fell leaves nothing bright behind.
        gone = dataclasses.replace(patch.pillar, presence=0.0)
        left = _shaded(ground, shade_HW, patch, gone) if patch.pillar.rim < 0 else before
        altered = _collapsed(left, ground, patch, severity, rng)
    elif defect == "stitching":
        altered = _stitching(before, substrate[:, *patch.window], shade_HW, patch, severity, rng)
    else:
        change = _missing if defect == "missing" else _irregular
        spoilt = change(patch.pillar, severity, rng)
        altered = _shaded(substrate[:, *patch.window], shade_HW, patch, spoilt)
    near = _cell(patch) if defect == "stitching" else _near(patch)
    altered = floats(before + near * (altered - before))
    scene[:, *patch.window] = altered
    mask = np.zeros(scene.shape[1:], dtype=np.bool_)
    mask[patch.window] = changed(before, altered, VISIBLE)
    return mask


def _near(patch: Patch) -> Floats:
    """Return 1 around the pillar, falling to 0 where its neighbours begin."""
    x, y = pixel_grid(patch.size)
    away = np.hypot((x + 0.5) / patch.size - patch.pillar.x, (y + 0.5) / patch.size - patch.pillar.y)
    return floats(np.clip((ROUND + 0.05 - away) / 0.05, 0.0, 1.0))[patch.shown]


def _cell(patch: Patch) -> Floats:
    """Return 1 in the square around the pillar that no neighbour's shares, 0 beyond: a seam crosses it all."""
    x, y = pixel_grid(patch.size)
    reach = CELL * patch.pillar.pitch
    inside = (np.abs((x + 0.5) / patch.size - patch.pillar.x) < reach) & (
        np.abs((y + 0.5) / patch.size - patch.pillar.y) < reach
    )
    return floats(inside)[patch.shown]


def _shaded(substrate: Floats, shade_HW: Floats, patch: Patch, spoilt: Pillar) -> Floats:
    """Return the scene of a patch with another pillar in the place of its own."""
    others = shade_HW[patch.window] / np.maximum(shade(patch.pillar, patch.size)[patch.shown], 1e-3)
    with_it = others * shade(spoilt, patch.size)[patch.shown]
    return floats(substrate * blurred(floats(with_it), patch.pillar.soft * patch.size))


def _missing(pillar: Pillar, severity: float, rng: np.random.Generator) -> Pillar:
    presence = max(1.0 - between(0.22, 1.0, severity) * rng.uniform(0.95, 1.05), 0.0)
    return dataclasses.replace(pillar, presence=presence)


def _irregular(pillar: Pillar, severity: float, rng: np.random.Generator) -> Pillar:
    reach = between(0.05, 0.2, severity)
    weights = rng.dirichlet((1.5, 1.0, 0.6)) * 1.5
    lobes = tuple((float(reach * weight), float(rng.uniform(0.0, 2.0 * np.pi))) for weight in weights)
    return dataclasses.replace(pillar, lobes=lobes)


def _collapsed(scene: Floats, substrate: Floats, patch: Patch, severity: float, rng: np.random.Generator) -> Floats:
    pillar, size = patch.pillar, patch.size
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
    pool = blurred(coverage(outside(fallen, size) * size), 1.1 * pillar.soft * size)[patch.shown]
    dark = (0.42 + 0.05 * smooth_field(rng, size, size / 6.0))[patch.shown]
    return floats(scene + between(0.14, 0.95, severity) * pool * (substrate * dark - scene))


def _stitching(
    scene: Floats, substrate: Floats, shade_HW: Floats, patch: Patch, severity: float, rng: np.random.Generator
) -> Floats:
    pillar, size = patch.pillar, patch.size
    upright, far = rng.random() < 0.5, rng.random() < 0.5
    seam = ((pillar.x if upright else pillar.y) + rng.uniform(-0.4, 0.4) * pillar.radius) * size
    shift = np.array([rng.uniform(-0.4, 0.4), rng.choice([-1.0, 1.0])]) * between(0.02, 0.22, severity)
    dx, dy = shift if upright else shift[::-1]
    spoilt = dataclasses.replace(pillar, x=pillar.x + float(dx), y=pillar.y + float(dy))
    moved = _shaded(substrate, shade_HW, patch, spoilt)
    x, y = pixel_grid(size)
    along = np.broadcast_to(x if upright else y, (size, size)) - seam
    beyond = np.clip((along if far else -along) + 0.5, 0.0, 1.0)[patch.shown]
    line = (np.exp(-((along / max(0.008 * size, 0.8)) ** 2)) * between(0.04, 0.16, severity))[patch.shown]
    return floats((scene + beyond * (moved - scene)) * (1.0 - line))
