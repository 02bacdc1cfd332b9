"""Other microscopes, derived from end faces that one took: another scale, aspect, light, focus and ferrule.

Each changes one thing, ``all`` changes all of them. A scene is wider than what the first microscope shows of it, so
that nothing leaves the frame of one that shows the fiber smaller. Stage, lamp and focus wander from image to image, as
they do under a person's hand. Defects are planted into good images where too few are at hand: the drawn ones of
``datamodules.synthetic.fiber``, on the fiber that was found.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from datamodules.synthetic.canvas import blurred, fractal_field, make_camera
from datamodules.synthetic.defects import paint
from datamodules.synthetic.drawing import floats
from datamodules.synthetic.fiber import LAYERS, EndFace, draw_scene, end_face
from datamodules.zones.finding import find_zones

if TYPE_CHECKING:
    from collections.abc import Callable

    from datamodules.files.images import Array
    from datamodules.synthetic.drawing import Identity

SIDE = 432  # of what a microscope shows, in pixels
WIDER = 1.25  # what the one with another scale shows of it, across and down
WANDER = 0.04  # of its side, by which the stage is off, at most
SCENE = 576  # side of a scene: SIDE * (WIDER + 2 * WANDER), and a little
REACH = 4.0  # half of it, in radii of the cladding


class Scene(NamedTuple):
    """A grey square (SCENE, SCENE) with a fiber near its middle: where its cladding lies, in pixels."""

    image: Array
    x: float
    y: float
    radius: float


def cut_scene(values: Array) -> Scene:
    """Cut a scene out of the middle of an image, such that its fiber is as large as in any other.

    Beyond the image, it is mirrored.

    Raises:
        ValueError: No fiber is found.
    """
    grey = values if values.ndim == 2 else cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)
    found, (height, width) = find_zones(values).cladding, grey.shape
    if found is None:
        raise ValueError("Expected a fiber on the image, but found none.")
    factor = SCENE / (2 * REACH * found.mean_radius)
    left, top = (SCENE - factor * width) / 2, (SCENE - factor * height) / 2
    moved = np.array([[factor, 0, left + (factor - 1) / 2], [0, factor, top + (factor - 1) / 2]])
    square = cv2.warpAffine(grey, moved, (SCENE, SCENE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
    x, y = left + factor * found.cx - 0.5, top + factor * found.cy - 0.5
    return Scene(np.asarray(square), x, y, factor * found.mean_radius)


def planted(scene: Scene, defect: str, severity: float, rng: np.random.Generator) -> Scene:
    """Plant a drawn defect on a scene."""
    level = float(scene.image.mean()) / 255
    where = EndFace("", scene.x, scene.y, scene.radius / 2, scene.radius, level, level, level)
    light = floats(floats(scene.image)[None] / 255)
    light, _ = paint(light, LAYERS[defect](rng, where, light, severity), 0.9)
    return scene._replace(image=np.asarray(np.clip(255 * light[0] + 0.5, 0, 255), np.uint8))


def drawn_scene(identity: Identity, defect: str | None, severity: float) -> Scene:
    """Draw a scene, with a defect where one is named."""
    drawn, rng = end_face(identity, SCENE), identity.own("scene")
    radius = SCENE / (2 * REACH) * rng.uniform(0.97, 1.03)
    middle, core = (SCENE - 1) / 2, drawn.core_radius * radius / drawn.cladding_radius
    face = replace(drawn, x=middle, y=middle, cladding_radius=float(radius), core_radius=float(core))
    camera = make_camera(identity, SCENE, exposure=0.09, blur=0.9, noise=0.012, tilt=0.06)
    seen = blurred(draw_scene(identity, face, SCENE), camera.blur)
    if defect is not None:
        seen, _ = paint(seen, LAYERS[defect](identity.own(defect), face, seen, severity), camera.blur)
    return Scene(camera.photograph(seen, identity.own("noise")), middle, middle, float(radius))


def first(scene: Scene, rng: np.random.Generator) -> Array:
    """Show the middle of a scene as it is."""
    return _shown(scene.image, 1.0, 1.0, rng)


def scale(scene: Scene, rng: np.random.Generator) -> Array:
    """Show the fiber smaller, and more around it."""
    return _shown(scene.image, WIDER, WIDER, rng)


def aspect(scene: Scene, rng: np.random.Generator) -> Array:
    """Show it through pixels that are not square."""
    return _shown(scene.image, WIDER, 1.0, rng)


def light(scene: Scene, rng: np.random.Generator) -> Array:
    """Light it from a side, dimmer, with a darker border and another gamma."""
    return _lit(first(scene, rng), rng)


def focus(scene: Scene, rng: np.random.Generator) -> Array:
    """Show it softer, with the noise of another camera."""
    return _softer(first(scene, rng), rng)


def ferrule(scene: Scene, rng: np.random.Generator) -> Array:
    """Put it into a ferrule of another ceramic: darker, with a coarse grain."""
    return first(_in_other_ferrule(scene, rng), rng)


def together(scene: Scene, rng: np.random.Generator) -> Array:
    """Change all of it: the fiber is smaller, and more so across than down."""
    return _softer(_lit(_shown(_in_other_ferrule(scene, rng).image, WIDER, 1.1, rng), rng), rng)


def _shown(image: Array, across: float, down: float, rng: np.random.Generator) -> Array:
    """Show the middle of an image, so many times as wide and as high as a frame, in that frame."""
    width, height = round(SIDE * across), round(SIDE * down)
    x, y = np.rint(rng.uniform(-WANDER, WANDER, 2) * SIDE).astype(int)
    left, top = (image.shape[1] - width) // 2 + x, (image.shape[0] - height) // 2 + y
    part = image[top : top + height, left : left + width]
    return np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA))


def _lit(image: Array, rng: np.random.Generator) -> Array:
    y, x = np.mgrid[-1 : 1 : image.shape[0] * 1j, -1 : 1 : image.shape[1] * 1j]
    turn, slope = rng.uniform(-0.6, 0.6), rng.uniform(0.1, 0.3)
    beside = slope * (np.cos(turn) * x + np.sin(turn) * y)
    fall = (0.7 + beside) * (1 - rng.uniform(0.25, 0.45) * (x * x + y * y) / 2) * rng.uniform(0.9, 1.1)
    return np.asarray(np.clip(255 * (image / 255) ** 0.8 * fall, 0, 255), np.uint8)


def _softer(image: Array, rng: np.random.Generator) -> Array:
    soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(1.2, 2.2)).astype(np.float32)
    return np.asarray(np.clip(soft + rng.normal(0, 3.0, image.shape), 0, 255), np.uint8)


def _in_other_ferrule(scene: Scene, rng: np.random.Generator) -> Scene:
    y, x = np.indices(scene.image.shape, dtype=np.float32)
    around = np.clip(np.hypot(x - scene.x, y - scene.y) - 1.06 * scene.radius, 0, 2) / 2
    other = 0.78 * scene.image + 7 * fractal_field(rng, len(scene.image), 9.0, octaves=3)
    mixed = np.clip(scene.image + around * (other - scene.image), 0, 255)
    return scene._replace(image=np.asarray(mixed, np.uint8))


MICROSCOPES: dict[str, Callable[[Scene, np.random.Generator], Array]] = {
    "scale": scale,
    "aspect": aspect,
    "light": light,
    "focus": focus,
    "ferrule": ferrule,
    "all": together,
}
