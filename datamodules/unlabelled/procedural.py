"""Images drawn by rule, from a seed: noise, gratings, gradients, cells, shapes, threaded rods, strokes and writing.

They widen the variety of a set of images at no cost in files or licences. Every function takes the side of a square
image in pixels and a generator, and returns grey levels in [0, 1], shape (side, side), float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

Grey: TypeAlias = npt.NDArray[np.float32]
RgbImage: TypeAlias = npt.NDArray[np.uint8]
Draw: TypeAlias = "Callable[[int, np.random.Generator], Grey]"

_LETTERS = "ABCDEFGHKLMNPRSTUVXYZ0123456789-/#"


def draw_image(side: int, rng: np.random.Generator) -> RgbImage:
    """Draw one image (side, side, 3) of uint8: a ground, up to three overlays through random masks, two colours."""
    grey = _pick(_GROUNDS, rng)(side, rng)
    for _ in range(rng.integers(1, 5)):
        overlay, mask = _pick(_GROUNDS, rng)(side, rng), _pick(_MASKS, rng)(side, rng)
        opacity = rng.uniform(0.5, 1.0)
        grey = grey + np.float32(opacity) * mask * (overlay - grey)
    return _tint(grey, rng)


def flat(side: int, rng: np.random.Generator) -> Grey:
    """Draw one grey level with a little sensor noise."""
    level, noise = rng.uniform(0.05, 0.95), rng.uniform(0.0, 0.03)
    return _as_grey(level + noise * rng.standard_normal((side, side)))


def gradient(side: int, rng: np.random.Generator) -> Grey:
    """Draw a linear or radial change of light."""
    x, y = _grid(side)
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        return _stretch(x * np.cos(angle) + y * np.sin(angle), rng)
    cx, cy = rng.uniform(-1.2, 1.2, 2)
    return _stretch(np.hypot(x - cx, y - cy) ** rng.uniform(0.7, 2.0), rng)


def noise_field(side: int, rng: np.random.Generator) -> Grey:
    """Noise of a power-law spectrum, from white to clouds, stretched along one axis."""
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    radius = np.hypot(fy * np.exp(rng.normal(0, 0.5)), fx * np.exp(rng.normal(0, 0.5)))
    radius[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal((side, side))) * radius ** -rng.uniform(0.0, 1.8)
    spectrum[0, 0] = 0.0
    return _stretch(np.fft.irfft2(spectrum, s=(side, side)), rng)


def grating(side: int, rng: np.random.Generator) -> Grey:
    """Draw waves, stripes or a lattice of two waves, straight or slightly bent."""
    x, y = _grid(side)
    bend = rng.uniform(0, 0.15) * np.sin(rng.uniform(1, 6) * y + rng.uniform(0, 6))
    period, angle = np.exp(rng.uniform(np.log(4), np.log(side / 3))), rng.uniform(0, np.pi)
    frequency = np.pi * side / period
    wave = np.sin(frequency * ((x + bend) * np.cos(angle) + y * np.sin(angle)))
    if rng.random() < 0.4:
        wave = wave * np.sin(frequency * rng.uniform(0.5, 2) * (y * np.cos(angle) - x * np.sin(angle)))
    return _stretch(np.tanh(wave * np.exp(rng.uniform(-1, 2.5))), rng)


def cells(side: int, rng: np.random.Generator) -> Grey:
    """Draw grains: each point takes the grey of its nearest seed, boundaries darker or lighter (a Voronoi diagram)."""
    count = int(rng.integers(5, 90))
    points = rng.integers(0, side, (count, 2))
    seeds = np.ones((side, side), np.uint8)
    seeds[points[:, 0], points[:, 1]] = 0
    distance, label = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    levels = rng.uniform(0, 1, int(label.max()) + 1).astype(np.float32)[label]
    edge = cv2.morphologyEx(label.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    return _stretch(rng.uniform(0, 1) * levels + rng.uniform(-1, 1) * edge + rng.uniform(-0.01, 0.01) * distance, rng)


def shapes(side: int, rng: np.random.Generator) -> Grey:
    """Draw a mask of a few filled or outlined ellipses and polygons, smooth at the edge."""
    mask = np.zeros((side, side), np.uint8)
    for _ in range(rng.integers(1, 8)):
        centre = rng.uniform(0, side, 2)
        radius = np.exp(rng.uniform(np.log(2), np.log(side / 2)))
        thickness = -1 if rng.random() < 0.6 else int(rng.integers(1, 8))
        corners = int(rng.integers(3, 9)) if rng.random() < 0.5 else 40
        turn = np.sort(rng.uniform(0, 2 * np.pi, corners)) if corners < 40 else np.linspace(0, 2 * np.pi, 40)
        squeeze = np.array([1.0, rng.uniform(0.3, 1.0)]) * radius
        outline = (centre + squeeze * np.stack([np.cos(turn), np.sin(turn)], axis=1)).astype(np.int32)
        cv2.drawContours(mask, [outline], 0, int(rng.integers(128, 256)), thickness, cv2.LINE_AA)
    return _as_grey(mask / np.float32(255))


def lattice(side: int, rng: np.random.Generator) -> Grey:
    """Draw a mask of equal discs or squares in rows: pillars, holes, pads."""
    pitch = int(rng.integers(8, max(9, side // 3)))
    reach = int(max(2, pitch * rng.uniform(0.2, 0.48)))
    cell = np.zeros((pitch, pitch), np.uint8)
    middle = pitch // 2
    if rng.random() < 0.6:
        cv2.circle(cell, (middle, middle), reach, 255, -1, cv2.LINE_AA)
    else:
        cell[max(0, middle - reach) : middle + reach, max(0, middle - reach) : middle + reach] = 255
    repeats = side // pitch + 1
    return _as_grey(np.tile(cell, (repeats, repeats))[:side, :side] / np.float32(255))


def strokes(side: int, rng: np.random.Generator) -> Grey:
    """Draw a mask of thin curves: scratches, hairs, cracks."""
    mask = np.zeros((side, side), np.uint8)
    for _ in range(rng.integers(1, 10)):
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, rng.uniform(0.02, 0.6), 20))
        step = rng.uniform(1, side / 15)
        path = rng.uniform(0, side, 2) + step * np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1), axis=0)
        width = int(rng.integers(1, 4))
        cv2.polylines(mask, [path.astype(np.int32)], False, int(rng.integers(100, 256)), width, cv2.LINE_AA)
    return _as_grey(mask / np.float32(255))


def specks(side: int, rng: np.random.Generator) -> Grey:
    """Draw a mask of scattered dots: dust, pores, powder."""
    count, softness = int(np.exp(rng.uniform(np.log(5), np.log(600)))), rng.uniform(0.5, 3.0)
    mask = np.zeros((side, side), np.float32)
    at = rng.integers(0, side, (count, 2))
    mask[at[:, 0], at[:, 1]] = rng.uniform(0.3, 1.0, count)
    blurred = cv2.GaussianBlur(mask, (0, 0), softness)
    return _as_grey(np.clip(blurred * np.float32(2 * np.pi * softness**2), 0, 1))


def writing(side: int, rng: np.random.Generator) -> Grey:
    """Draw a mask of printed letters and digits."""
    mask = np.zeros((side, side), np.uint8)
    for _ in range(rng.integers(1, 5)):
        text = "".join(rng.choice(list(_LETTERS), int(rng.integers(1, 9))))
        at = (int(rng.integers(-10, side)), int(rng.integers(10, side)))
        font, size = int(rng.choice([0, 2, 3, 4, 6])), float(np.exp(rng.uniform(-1, 1.2)))
        cv2.putText(mask, text, at, font, size, 255, int(rng.integers(1, 4)), cv2.LINE_AA)
    return _as_grey(mask / np.float32(255))


def rod(side: int, rng: np.random.Generator) -> Grey:
    """Draw a mask of a threaded rod with a head, at any angle: a body whose edge and shade follow a saw-tooth."""
    x, y = _grid(side)
    angle, cx, cy = rng.uniform(0, 2 * np.pi), *rng.uniform(-0.4, 0.4, 2)
    along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    across = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
    radius, length, pitch = rng.uniform(0.06, 0.3), rng.uniform(0.3, 1.0), rng.uniform(0.03, 0.15)
    phase = ((along + rng.uniform(-0.5, 0.5) * across) / pitch) % 1.0
    tooth = np.minimum(phase / rng.uniform(0.2, 0.8), 1.0) - phase
    body = np.abs(across) < radius * (1 - rng.uniform(0.1, 0.5) * tooth)
    head = (np.abs(across) < radius * rng.uniform(1.2, 2.2)) & (along > length * 0.6)
    shade = (1 - (across / (2.5 * radius)) ** 2) * (0.5 + rng.uniform(0.2, 1.0) * tooth)
    mask = np.where(head, 0.8, body * shade) * (np.abs(along) < length)
    return _as_grey(np.clip(mask, 0, 1))


_GROUNDS: tuple[Draw, ...] = (
    flat,
    gradient,
    noise_field,
    noise_field,
    grating,
    cells,
)
_MASKS: tuple[Draw, ...] = (
    shapes,
    shapes,
    lattice,
    strokes,
    specks,
    writing,
    rod,
)


def _pick(choices: tuple[Draw, ...], rng: np.random.Generator) -> Draw:
    return choices[int(rng.integers(len(choices)))]


def _grid(side: int) -> tuple[Grey, Grey]:
    """Return coordinates x and y of every pixel, from -1 to 1."""
    line = np.linspace(-1, 1, side, dtype=np.float32)
    return np.broadcast_to(line[None], (side, side)), np.broadcast_to(line[:, None], (side, side))


def _stretch(values: npt.NDArray[Any], rng: np.random.Generator) -> Grey:
    """Map the range of ``values`` to two random levels of [0, 1], at least 0.2 apart."""
    contrast = rng.uniform(0.2, 1.0)
    low, high = rng.permutation([0.0, contrast]) + rng.uniform(0, 1 - contrast)
    spread = float(np.ptp(values)) or 1.0
    return _as_grey(low + (high - low) * (values - values.min()) / spread)


def _as_grey(values: npt.NDArray[Any]) -> Grey:
    return values.astype(np.float32, copy=False)


def _tint(grey: Grey, rng: np.random.Generator) -> RgbImage:
    """Colour a grey image from a dark to a light random colour, which are greys half of the time."""
    ends = np.array([rng.uniform(0, 0.3, 3), rng.uniform(0.7, 1, 3)])
    share = rng.uniform(0, 1) if rng.random() < 0.5 else 0.0
    ends = share * ends + (1 - share) * ends.mean(axis=1, keepdims=True)
    coloured = ends[0] + np.clip(grey, 0, 1)[..., None] * (ends[1] - ends[0])
    image: RgbImage = np.rint(coloured * 255).astype(np.uint8)
    return image
