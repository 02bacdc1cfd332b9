"""Other microscopes, derived from end faces that one took: another scale, aspect, light, focus and ferrule.

Each changes one thing, ``all`` changes all of them. Defects are planted into good images where too few are at hand: the
drawn ones of ``datamodules.synthetic.fiber``, on the fiber that was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from datamodules.synthetic.canvas import fractal_field
from datamodules.synthetic.defects import paint
from datamodules.synthetic.drawing import floats
from datamodules.synthetic.fiber import LAYERS, EndFace
from datamodules.zones.finding import find_zones

if TYPE_CHECKING:
    from collections.abc import Callable

    from datamodules.files.images import Array

SIDE = 432  # of the square that is cut out around a fiber, in pixels
REACH = 3.0  # half its side, in radii of the cladding


def cut_face(values: Array) -> tuple[Array, float]:
    """Cut a grey square (SIDE, SIDE) around the fiber out of an image; return it with the cladding's radius in it.

    Raises:
        ValueError: No fiber is found.
    """
    grey = values if values.ndim == 2 else cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)
    found = find_zones(values).cladding
    if found is None:
        raise ValueError("Expected a fiber on the image, but found none.")
    radius = found.mean_radius
    factor = SIDE / (2 * REACH * radius)
    moved = np.array([[factor, 0, SIDE / 2 - factor * found.cx], [0, factor, SIDE / 2 - factor * found.cy]])
    square = cv2.warpAffine(grey, moved, (SIDE, SIDE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(square), radius * factor


def planted(face: Array, radius: float, defect: str, severity: float, rng: np.random.Generator) -> Array:
    """Plant a drawn defect on a square face whose cladding has this radius."""
    middle, level = (SIDE - 1) / 2, float(face.mean()) / 255
    where = EndFace("", middle, middle, radius / 2, radius, level, level, level)
    scene = floats(floats(face)[None] / 255)
    scene, _ = paint(scene, LAYERS[defect](rng, where, scene, severity), 0.9)
    return np.asarray(np.clip(255 * scene[0] + 0.5, 0, 255), np.uint8)


def _about(face: Array, across: float, down: float, angle: float = 0.0) -> Array:
    """Stretch a face about its middle, and turn it."""
    side = face.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1.0)
    stretch = np.array([[across, 0, side / 2 * (1 - across)], [0, down, side / 2 * (1 - down)], [0, 0, 1]])
    whole = (np.vstack([turn, [0, 0, 1]]) @ stretch)[:2]
    return np.asarray(cv2.warpAffine(face, whole, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


def scale(face: Array, radius: float, rng: np.random.Generator) -> Array:
    """Show the fiber 1.45 times as large."""
    del radius, rng
    return _about(face, 1.45, 1.45)


def aspect(face: Array, radius: float, rng: np.random.Generator) -> Array:
    """Show it through pixels that are not square."""
    del radius, rng
    return _about(face, 1.25, 1.0)


def light(face: Array, radius: float, rng: np.random.Generator) -> Array:
    """Light it from a side, dimmer, with a darker border and another gamma."""
    del radius
    y, x = np.mgrid[-1 : 1 : face.shape[0] * 1j, -1 : 1 : face.shape[1] * 1j]
    fall = (0.7 + 0.2 * x - 0.1 * y) * (1 - 0.35 * (x * x + y * y) / 2) * rng.uniform(0.95, 1.05)
    return np.asarray(np.clip(255 * (face / 255) ** 0.8 * fall, 0, 255), np.uint8)


def focus(face: Array, radius: float, rng: np.random.Generator) -> Array:
    """Show it softer, with the noise of another camera."""
    del radius
    soft = cv2.GaussianBlur(face, (0, 0), rng.uniform(1.6, 2.0)).astype(np.float32)
    return np.asarray(np.clip(soft + rng.normal(0, 3.0, face.shape), 0, 255), np.uint8)


def ferrule(face: Array, radius: float, rng: np.random.Generator) -> Array:
    """Put it into a ferrule of another ceramic: darker, with a coarse grain."""
    side = face.shape[0]
    y, x = np.indices(face.shape, dtype=np.float32) - (side - 1) / 2
    around = np.clip(np.hypot(x, y) - 1.06 * radius, 0, 2) / 2
    other = 0.78 * face + 7 * fractal_field(rng, side, 9.0, octaves=3)
    return np.asarray(np.clip(face + around * (other - face), 0, 255), np.uint8)


def together(face: Array, radius: float, rng: np.random.Generator) -> Array:
    """Change all of it."""
    for change in (ferrule, scale, aspect, light, focus):
        face = change(face, radius, rng)
    return face


MICROSCOPES: dict[str, Callable[[Array, float, np.random.Generator], Array]] = {
    "scale": scale,
    "aspect": aspect,
    "light": light,
    "focus": focus,
    "ferrule": ferrule,
    "all": together,
}
