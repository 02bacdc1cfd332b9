"""Defects planted into good images of any kind: pasted patches, stains and scratches, from hardly visible to plain.

They stand in for defects that nobody has yet, wherever ways of seeing are compared. Where they lie and how they are
shaped is drawn in shares of the image's sides: one seed plants the same defect into an image at any size. They lie
where an image has contrast, which is more often on the part than beside it.

Sources: Li et al., "CutPaste", CVPR 2021, for patches; Zavrtanik et al., "DRAEM", ICCV 2021, for regions of noise.

Letters: C channels, H and W height and width in pixels, G side of a coarse grid.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from .drawing import floats

if TYPE_CHECKING:
    from collections.abc import Callable

    from .drawing import Floats, Mask

GRID = 48  # cells along each side, among which a place is drawn
ELSEWHERE = 0.05  # of the weight of the place with most contrast, which all others have at least
FINE = 4  # times as large shapes are drawn before they are averaged
SHOWN = 0.3  # of a pixel that a defect must cover for its mask
STRENGTHS = (0.04, 0.5)  # hardly visible, plain: share of the image's range of light, drawn evenly by logarithm
SHIFT = 4  # binary digits of the fractions of points


class Covered(NamedTuple):
    """What a defect covers of an image.

    Attributes:
        alpha_HW: How much of each pixel, in [0, 1].
        colour_CHW: What it shows there, fully opaque.
    """

    alpha_HW: Floats
    colour_CHW: Floats


def plant(kind: str, image_CHW: Floats, rng: np.random.Generator) -> tuple[Floats, Mask]:
    """Plant one defect.

    Args:
        kind: One of `KINDS`.
        image_CHW: In [0, 1]; it stays as it is.
        rng: Decides place, shape and strength, in shares of the sides.

    Returns:
        The image with its defect, in [0, 1], and the (H, W) mask of the pixels that it covers.
    """
    low, high = np.log(STRENGTHS)
    strength = float(np.exp(rng.uniform(low, high)))
    covered = KINDS[kind](image_CHW, strength, rng)
    alpha_HW = covered.alpha_HW
    planted_CHW = image_CHW + alpha_HW * (covered.colour_CHW - image_CHW)
    return floats(np.clip(planted_CHW, 0, 1)), np.asarray(alpha_HW > SHOWN * float(alpha_HW.max()), np.bool_)


def draw_place(image_CHW: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """Draw x and y in (0, 1), as shares of the sides: where there is contrast, more often."""
    grey = cv2.resize(floats(image_CHW.mean(axis=0)), (GRID, GRID), interpolation=cv2.INTER_AREA)
    mean, square = cv2.blur(grey, (5, 5)), cv2.blur(grey * grey, (5, 5))
    contrast_GG = np.sqrt(np.maximum(square - mean * mean, 0))
    weight_GG = contrast_GG + ELSEWHERE * max(float(contrast_GG.max()), 1e-6)
    weight_GG[[0, -1]] = weight_GG[:, [0, -1]] = 0  # a defect at the border may lie outside
    order = weight_GG.ravel().cumsum()
    cell = int(np.searchsorted(order, rng.random() * order[-1]))
    row, column = divmod(min(cell, GRID * GRID - 1), GRID)
    across, down = rng.random(2)
    return (column + across) / GRID, (row + down) / GRID


def paste_patch(image_CHW: Floats, strength: float, rng: np.random.Generator) -> Covered:
    """Paste a piece of the image elsewhere, turned or mirrored: what it shows is real, but in the wrong place."""
    height, width = image_CHW.shape[1:]
    (x, y), (from_x, from_y) = draw_place(image_CHW, rng), draw_place(image_CHW, rng)
    across, down = rng.uniform(0.03, 0.14, 2)
    turned = cv2.getRotationMatrix2D((from_x * width, from_y * height), float(rng.uniform(0, 360)), 1.0)
    turned[:, 2] += ((x - from_x) * width, (y - from_y) * height)
    moved = [
        cv2.warpAffine(plane, turned, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        for plane in image_CHW
    ]
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (across / 2, down / 2) + (x, y)
    alpha_HW = _filled(_rotated(corners, (x, y), rng.uniform(0, math.pi)), (height, width))
    opacity = min(1.0, 2 * strength)
    return Covered(opacity * alpha_HW, floats(np.stack(moved)))


def stain(image_CHW: Floats, strength: float, rng: np.random.Generator) -> Covered:
    """Darken or lighten a region whose outline is that of noise."""
    height, width = image_CHW.shape[1:]
    x, y = draw_place(image_CHW, rng)
    radius, stretch, turn = rng.uniform(0.015, 0.07), rng.uniform(1.0, 2.0), rng.uniform(0, math.pi)
    rough_GG = sum(
        0.6**octave * cv2.resize(floats(rng.standard_normal((side, side))), (64, 64), interpolation=cv2.INTER_CUBIC)
        for octave, side in enumerate((4, 8, 16))
    )
    across, down = np.meshgrid(*(np.linspace(-1, 1, 64),) * 2)
    inside_GG = floats(1.0 - 2.0 * np.hypot(across, down) + 0.35 * rough_GG)
    cell_GG = floats(np.clip(0.5 + 4 * inside_GG, 0, 1)) * _window()
    reach = 2 * radius * min(height, width) / 64  # pixels of the image that a cell takes
    matrix = cv2.getRotationMatrix2D((31.5, 31.5), math.degrees(turn), 1.0)
    sides_22 = np.diag([reach * stretch, reach / stretch])
    matrix = sides_22 @ matrix
    matrix[:, 2] += np.array([x * width, y * height]) - sides_22 @ np.array([31.5, 31.5])
    alpha_HW = cv2.warpAffine(cell_GG, matrix, (width, height), flags=cv2.INTER_LINEAR)
    return Covered(floats(alpha_HW), _lit(image_CHW, floats(alpha_HW), strength, rng))


def scratch(image_CHW: Floats, strength: float, rng: np.random.Generator) -> Covered:
    """Draw a thin line, dark or bright, that bends a little."""
    height, width = image_CHW.shape[1:]
    x, y = draw_place(image_CHW, rng)
    length, thickness = rng.uniform(0.05, 0.3), rng.uniform(0.003, 0.009)
    heading = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, 0.12, 16))
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) * (length / 16)
    path = steps.cumsum(axis=0)
    scale = np.array([min(height, width)] * 2) / (width, height)  # as long in every direction
    points = (path - path.mean(axis=0)) * scale + (x, y)
    alpha_HW = _stroked(points, thickness * min(height, width), (height, width))
    return Covered(alpha_HW, _lit(image_CHW, alpha_HW, 1.5 * strength, rng))


KINDS: dict[str, Callable[[Floats, float, np.random.Generator], Covered]] = {
    "patch": paste_patch,
    "stain": stain,
    "scratch": scratch,
}


def _lit(image_CHW: Floats, alpha_HW: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Return the image darker or lighter by a share of its range of light; the other way where that would not show."""
    low, high = np.quantile(image_CHW, [0.01, 0.99])
    step = strength * max(float(high - low), 0.05)
    sign = 1.0 if rng.random() < 0.5 else -1.0
    level = float((image_CHW.mean(axis=0) * alpha_HW).sum() / max(float(alpha_HW.sum()), 1e-6))
    if not 0 <= level + sign * step <= 1:
        sign = -sign
    tint_C11 = 1 + rng.uniform(-0.3, 0.3, (3, 1, 1))[: len(image_CHW)] * _is_coloured(image_CHW)
    return floats(image_CHW + sign * step * tint_C11)


def _is_coloured(image_CHW: Floats) -> bool:
    return bool(np.abs(image_CHW - image_CHW[:1]).max() > 0.02)


def _window() -> Floats:
    """Return weights (64, 64) that fall to nothing at the border, so that a shape is not cut off there."""
    edge = np.clip(np.minimum(np.arange(64), np.arange(64)[::-1]) / 8, 0, 1)
    return floats(edge[:, None] * edge)


def _rotated(points_P2: np.typing.NDArray[np.float64], middle: tuple[float, float], angle: float) -> Floats:
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return floats((points_P2 - middle) @ turn + middle)


def _points(points_P2: Floats, size: tuple[int, int]) -> np.typing.NDArray[np.int32]:
    """Return points as OpenCV takes them on a canvas that is `FINE` times as large."""
    height, width = size
    scaled = points_P2 * (width * FINE, height * FINE) * 2**SHIFT
    return np.asarray(np.rint(scaled), np.int32)


def _filled(points_P2: Floats, size: tuple[int, int]) -> Floats:
    fine = np.zeros((size[0] * FINE, size[1] * FINE), np.uint8)
    cv2.fillPoly(fine, [_points(points_P2, size)], 255, shift=SHIFT)
    return _averaged(fine, size)


def _stroked(points_P2: Floats, thickness: float, size: tuple[int, int]) -> Floats:
    fine = np.zeros((size[0] * FINE, size[1] * FINE), np.uint8)
    cv2.polylines(fine, [_points(points_P2, size)], False, 255, max(1, round(thickness * FINE)), shift=SHIFT)
    return _averaged(fine, size)


def _averaged(fine: np.typing.NDArray[np.uint8], size: tuple[int, int]) -> Floats:
    return floats(floats(cv2.resize(fine, (size[1], size[0]), interpolation=cv2.INTER_AREA)) / 255)
