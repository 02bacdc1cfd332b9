"""How a defect enters a scene, and what its mask is.

Two ways in, both exact: a defect that lies *on* the scene is a stack of layers (`paint`), one that *moves* the scene is
a second scene shown through a mask (`replace`). Neither touches a pixel further than `REACH` pixels from the mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from .canvas import blurred
from .drawing import Drawing

if TYPE_CHECKING:
    from .canvas import Camera
    from .drawing import Bytes, Floats, Identity, Mask

REACH = 2
COVERED = 0.3


@dataclass(frozen=True)
class Layer:
    """One coat of paint.

    Attributes:
        coverage: (H, W) in [0, 1], how much of a pixel the coat covers.
        colour: What it covers it with, as anything that broadcasts to a scene (C, H, W).
        opacity: How much it hides, 0 to 1.
    """

    coverage: Floats
    colour: float | Floats
    opacity: float


class Truth(NamedTuple):
    """What is known of an image before it is drawn; see ``Drawing``."""

    defect: str | None
    severity: float
    kind: str
    group: str


def paint(scene: Floats, layers: list[Layer], blur: float) -> tuple[Floats, Mask]:
    """Paint ``layers`` over a blurred ``scene``, with edges as soft as the focus.

    Args:
        scene: (C, H, W), already blurred.
        layers: From the bottom up.
        blur: Standard deviation of the defocus in pixels.

    Returns:
        The painted scene, and the (H, W) mask of all pixels that a layer covers by a third or more.
    """
    scene = scene.copy()
    mask = np.zeros(scene.shape[1:], dtype=np.bool_)
    for layer in layers:
        covered = layer.coverage >= COVERED
        if not covered.any():
            continue
        near = grown(covered)
        y, x = _box(near)
        alpha = blurred(layer.coverage[y, x], blur) * near[y, x] * layer.opacity
        colour = np.broadcast_to(layer.colour, scene.shape)[:, y, x]
        scene[:, y, x] += alpha * (colour - scene[:, y, x])
        mask |= covered
    return scene, mask


def photographed(
    camera: Camera, scene: Floats, layers: list[Layer], identity: Identity, truth: Truth, zones: Bytes | None = None
) -> Drawing:
    """Paint the layers of a defect over a blurred scene, and photograph it: the drawing, with its mask.

    Args:
        camera: Whose blur the scene has.
        scene: (C, H, W).
        layers: As in ``paint``; none for a good image.
        identity: Whose noise the image has.
        truth: What is known of it.
        zones: (H, W), where there are any.
    """
    scene, mask = paint(scene, layers, camera.blur)
    image = camera.photograph(scene, identity.own("noise"))
    severity = truth.severity if truth.defect else 0.0
    return Drawing(image, mask, truth.defect, severity, truth.kind, truth.group, zones)


def replace(scene: Floats, altered: Floats, mask: Mask) -> Floats:
    """Return ``altered`` within `REACH` of ``mask`` and ``scene`` elsewhere; both (C, H, W)."""
    return np.where(grown(mask), altered, scene)


def changed(scene: Floats, altered: Floats, minimum: float) -> Mask:
    """Return where two (C, H, W) scenes differ by more than ``minimum`` in any channel, without pinholes and specks."""
    difference = np.abs(altered - scene).max(axis=0)
    block = np.ones((3, 3), np.uint8)
    on = cv2.morphologyEx(np.asarray(difference > minimum, dtype=np.uint8), cv2.MORPH_CLOSE, block)
    clean = cv2.morphologyEx(on, cv2.MORPH_OPEN, block)
    return np.asarray(clean if clean.any() else on, dtype=np.bool_)


def grown(mask: Mask, reach: int = REACH) -> Mask:
    """Return ``mask`` dilated by ``reach`` pixels in all directions."""
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), dtype=np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel), dtype=np.bool_)


def outlines(mask: Mask) -> tuple[Floats, ...]:
    """Return the (P, 2) outer border of every region of ``mask``; filling them, borders included, gives it back.

    Regions must have no holes and be at least two pixels wide, as `solid` makes them.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return tuple(np.asarray(contour[:, 0, :], dtype=np.float32) for contour in contours)


def solid(mask: Mask) -> Mask:
    """Return ``mask`` without holes, and thickened where it is one pixel wide, so that polygons can describe it."""
    on, block = mask.astype(np.uint8), np.ones((2, 2), np.uint8)
    thin = on - cv2.morphologyEx(on, cv2.MORPH_OPEN, block)
    thick = np.maximum(on, cv2.dilate(thin, np.ones((3, 3), np.uint8))).astype(np.uint8)
    contours, _ = cv2.findContours(thick, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    full = np.zeros(mask.shape, dtype=np.uint8)
    cv2.fillPoly(full, contours, 1)
    return full.astype(np.bool_)


def between(low: float, high: float, severity: float) -> float:
    """Return the value that lies ``severity`` of the way from ``low`` to ``high``."""
    return low + (high - low) * severity


def _box(mask: Mask) -> tuple[slice, slice]:
    """Return the rows and columns of a mask's bounding box."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return slice(y, y + height), slice(x, x + width)
