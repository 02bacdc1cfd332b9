"""Fiber end faces as microscopes really show them: what makes their circles hard to find, with the truth beside it.

A condition changes the face (its pixels, its tilt, where it lies), what lies on it, or the camera. The truth is exact:
it is what was drawn, not what anyone measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .canvas import blurred, coverage, make_camera, smooth_field, white_noise
from .defects import paint
from .drawing import Bytes, Drawing, DrawingError, floats, nearest_name
from .fiber import CLADDING_UM, CORES_UM, LAYERS, EndFace, draw_scene, draw_zones, end_face

if TYPE_CHECKING:
    from collections.abc import Callable

    from .canvas import Camera
    from .drawing import Floats, Identity

APC_DEGREES = 8.0  # of an angled physical contact's face against the fiber's axis
PAL_ASPECT = 0.918  # of a circle in frames of 720 x 576 pixels, measured on public images
THREE_RINGS_UM = (91.0, 119.0, 140.0)  # core, a step within, cladding


@dataclass(frozen=True)
class HardFiber:
    """A drawn face under a condition.

    Attributes:
        drawing: The image, its zones, and the mask of its defect.
        condition: One of ``CONDITIONS``.
        cx: Centre in pixels from the image's left border, where (0, 0) is its outer corner.
        cy: The same from its top.
        core_radius: Along y, in pixels, before any tilt.
        cladding_radius: The same.
        aspect: A circle's radius along x over that along y.
        tilt: What foreshortening leaves of a diameter, in a direction of its own.
        core_um: Diameter.
        cladding_um: Diameter.
        visible: Whether anything shows where the cladding ends: if not, the right answer is "not found".
    """

    drawing: Drawing
    condition: str
    cx: float
    cy: float
    core_radius: float
    cladding_radius: float
    aspect: float
    tilt: float
    core_um: float
    cladding_um: float
    visible: bool

    @property
    def um_per_pixel(self) -> tuple[float, float]:
        """Micrometres per pixel along x and y."""
        along_y = self.cladding_um / (2 * self.cladding_radius)
        return along_y / self.aspect, along_y


def draw_hard(condition: str, identity: Identity, size: int, defect: str | None = None) -> HardFiber:
    """Draw a fiber end face under a condition.

    Args:
        condition: One of ``CONDITIONS``.
        identity: Which one; equal identities draw equal images.
        size: Height and width in pixels; a black frame makes the image wider.
        defect: As in ``fiber.draw``, at half of its severity; the truth of its type and place is in the drawing.

    Raises:
        DrawingError: There is no such condition.
    """
    if condition not in CONDITIONS:
        meant = nearest_name(condition, CONDITIONS)
        raise DrawingError(f"Expected condition to be one of {', '.join(CONDITIONS)}, got {condition!r}; did you mean {meant!r}?")  # fmt: skip  # noqa: E501
    rng = identity.own(f"condition {condition}")
    face = CONDITIONS[condition](end_face(identity, size), rng, size)
    camera = _camera(condition, make_camera(identity, size, exposure=0.09, blur=0.9, noise=0.012, tilt=0.06), size)
    scene = blurred(_covered(condition, draw_scene(identity, face, size), face, rng), camera.blur)
    mask = np.zeros((size, size), dtype=np.bool_)
    marks = DIRTY if condition == "dirty" else () if defect is None else (defect,)
    for name in marks:
        scene, more = paint(
            scene, LAYERS[name](identity.own(name), face, scene, 0.9 if defect is None else 0.5), camera.blur
        )
        mask |= more
    image = camera.photograph(scene, identity.own("noise"))
    zones = draw_zones(face, size)
    left = top = 0
    if condition == "black_frame":
        left, top = int(rng.integers(8, 40)), int(rng.integers(0, 24))
        image, zones = (_framed(plane, left, top) for plane in (image, zones))
        mask = _framed(mask.astype(np.uint8), left, top) > 0
        image = np.maximum(image, np.clip(white_noise(rng, image.shape) + 4, 0, 12).astype(np.uint8))
    drawing = Drawing(
        image=image, mask=mask > 0, defect=defect, severity=0.5 if defect else 0.0, kind=face.kind,
        group=f"connector_{identity.group:04d}", zones=zones,
    )  # fmt: skip
    core_um, cladding_um = _sizes_um(condition, face)
    return HardFiber(
        drawing, condition, face.x + 0.5 + left, face.y + 0.5 + top, face.core_radius, face.cladding_radius,
        face.aspect, face.tilt, core_um, cladding_um, condition not in UNSEEN,
    )  # fmt: skip


def _sizes_um(condition: str, face: EndFace) -> tuple[float, float]:
    return (THREE_RINGS_UM[0], THREE_RINGS_UM[2]) if condition == "three_rings" else (CORES_UM[face.kind], CLADDING_UM)


def _plain(face: EndFace, rng: np.random.Generator, size: int) -> EndFace:
    del rng, size
    return face


def _cut(face: EndFace, rng: np.random.Generator, size: int) -> EndFace:
    """A quarter to a half of the cladding lies beyond one border."""
    inside = face.cladding_radius * rng.uniform(0.05, 0.45)
    return replace(face, x=float(inside if rng.random() < 0.5 else size - 1 - inside))


def _outside(face: EndFace, rng: np.random.Generator, size: int) -> EndFace:
    """The centre lies beyond a border."""
    del size
    return replace(face, y=float(-face.cladding_radius * rng.uniform(0.02, 0.12)))


def _tilted(face: EndFace, rng: np.random.Generator, size: int) -> EndFace:
    del size
    return replace(face, tilt=0.97, tilt_angle=float(rng.uniform(0, math.pi)))


def _apc(face: EndFace, rng: np.random.Generator, size: int) -> EndFace:
    del size
    return replace(face, tilt=math.cos(math.radians(APC_DEGREES)), tilt_angle=float(rng.uniform(0, math.pi)))


def _non_square(face: EndFace, rng: np.random.Generator, size: int) -> EndFace:
    del size
    return replace(face, aspect=float(rng.choice([PAL_ASPECT, 0.94, 1.067, 1.09])))


def _unlit(face: EndFace, rng: np.random.Generator, size: int) -> EndFace:
    """The core differs by about a grey level, and an index ring differs by more."""
    del size
    return replace(
        face,
        core=face.cladding + float(rng.uniform(0.5, 1.5)) / 255,
        core_rim=0.05,
        rings=((0.58 * face.cladding_radius, float(rng.uniform(2.5, 3.5)) / 255),),
    )


def _three_rings(face: EndFace, rng: np.random.Generator, size: int) -> EndFace:
    del size
    core, step, outer = THREE_RINGS_UM
    rings = ((face.cladding_radius * step / outer, -float(rng.uniform(0.015, 0.04))),)
    return replace(face, core_radius=face.cladding_radius * core / outer, rings=rings)


def _flooded(face: EndFace, rng: np.random.Generator, size: int) -> EndFace:
    """Oil of the glass's index over everything: the cladding looks like the ferrule, only the lit core shows."""
    del rng, size
    return replace(face, cladding=face.ferrule, core=min(face.ferrule + 0.25, 0.98))


def _covered(condition: str, scene: Floats, face: EndFace, rng: np.random.Generator) -> Floats:
    """Lay on the face what a condition puts there, before the lens blurs it."""
    size = scene.shape[-1]
    if condition == "flooded":  # no rim either: draw it anew, with nothing but a core and a mottled film
        disc = coverage(face.distance(size) - face.core_radius)
        film = face.ferrule + 0.015 * smooth_field(rng, size, size / 12)
        rim = rng.uniform(0.0, 0.06) * np.exp(-0.5 * ((face.distance(size) - face.core_radius - 2) / 2.0) ** 2)
        return floats(film - rim + disc * (face.core - film))[None]
    if condition == "empty":
        return floats(face.ferrule + 0.01 * smooth_field(rng, size, size / 20))[None]
    if condition == "oil":  # a film that creeps over a part of the face and takes most of the contrast there
        bank = smooth_field(rng, size, size / 3)
        cover = 0.75 * coverage((0.3 - bank) * size / 30)
        scene = scene + cover * (scene.mean() - scene)
        return floats(scene - 0.12 * np.exp(-(((bank - 0.3) * size / 30) ** 2) / 8))
    return scene


def _camera(condition: str, camera: Camera, size: int) -> Camera:
    unit = size / 256
    if condition == "blur":
        return replace(camera, blur=1.1 * unit)
    if condition == "noise":
        return replace(camera, read_noise=0.06, shot_noise=0.0)
    if condition == "dim":
        return replace(camera, exposure=0.2, read_noise=0.004, shot_noise=0.004)
    if condition == "uneven_light":
        return replace(camera, slope_x=0.38, slope_y=-0.25, vignette=0.5)
    return camera


def _framed(plane: Bytes, left: int, top: int) -> Bytes:
    return np.asarray(cv2.copyMakeBorder(plane, top, top, left, left, cv2.BORDER_CONSTANT, value=0), dtype=np.uint8)


DIRTY = ("contamination", "scratch", "chip")
UNSEEN = ("flooded", "empty")
CONDITIONS: dict[str, Callable[[EndFace, np.random.Generator, int], EndFace]] = {
    "plain": _plain,
    "blur": _plain,
    "noise": _plain,
    "dim": _plain,
    "uneven_light": _plain,
    "cut_by_border": _cut,
    "centre_outside": _outside,
    "tilted": _tilted,
    "apc": _apc,
    "non_square": _non_square,
    "unlit_core": _unlit,
    "three_rings": _three_rings,
    "black_frame": _plain,
    "dirty": _plain,
    "oil": _plain,
    "flooded": _flooded,
    "empty": _plain,
}
