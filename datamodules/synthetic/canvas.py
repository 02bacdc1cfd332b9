"""The camera, and the fields of light and texture that all domains share.

A scene is float32 in [0, 1] of shape (C, H, W), with one channel for grey and three for RGB; a plane (H, W) broadcasts
to it. Planes first, because that is several times faster than pixels first. Lengths are in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .drawing import floats

if TYPE_CHECKING:
    from .drawing import Bytes, Floats, Identity

NORMAL_QUANTILES = floats([NormalDist().inv_cdf((number + 0.5) / 4096) for number in range(4096)])


@dataclass(frozen=True)
class Camera:
    """How a scene reaches the sensor.

    Attributes:
        exposure: Factor on the light, about 1.
        slope_x: Relative change of the light from the centre to the right border.
        slope_y: The same towards the bottom.
        vignette: Relative loss of light in the corners.
        blur: Standard deviation of the defocus, in pixels.
        read_noise: Standard deviation of the noise of black, on the scale of [0, 1].
        shot_noise: Standard deviation that the light itself adds where the scene is white.
    """

    exposure: float
    slope_x: float
    slope_y: float
    vignette: float
    blur: float
    read_noise: float
    shot_noise: float

    def light(self, height: int, width: int) -> Floats:
        """Return the (height, width) factor by which the illumination multiplies a scene."""
        x, y = (
            np.linspace(-1.0, 1.0, width, dtype=np.float32),
            np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None],
        )
        falloff = 1.0 - self.vignette * 0.25 * (x * x + y * y) ** 2
        return floats(self.exposure * (1.0 + self.slope_x * x + self.slope_y * y) * falloff)

    def photograph(self, scene: Floats, rng: np.random.Generator) -> Bytes:
        """Light a (C, H, W) scene that is already blurred, add noise, and quantise.

        Returns:
            (H, W) grey or (H, W, 3) RGB, uint8.
        """
        lit = scene * (self.light(*scene.shape[1:]) * 255.0)
        deviation = np.sqrt(np.maximum(lit, 0.0) * (255.0 * self.shot_noise**2) + (255.0 * self.read_noise) ** 2)
        lit += deviation * white_noise(rng, scene.shape)
        counts = np.clip(lit + 0.5, 0.0, 255.0).astype(np.uint8)
        return counts[0] if len(counts) == 1 else np.asarray(cv2.merge(list(counts)), dtype=np.uint8)


def make_camera(identity: Identity, size: int, *, exposure: float, blur: float, noise: float, tilt: float) -> Camera:
    """Set up the group's camera, and let it wander a little from image to image.

    Args:
        identity: Whose camera.
        size: Image size, which scales the defocus.
        exposure: Spread of the exposure (standard deviation of its logarithm), half of it within a group.
        blur: Largest defocus in pixels of an image of 256.
        noise: Typical noise where the scene is white, on the scale of [0, 1].
        tilt: Spread of the light's slope.
    """
    group, own = identity.shared("camera"), identity.own("camera")
    log_exposure = exposure * (0.85 * group.standard_normal() + 0.5 * own.standard_normal())
    slopes = tilt * (0.9 * group.uniform(-1.0, 1.0, 2) + 0.3 * own.uniform(-1.0, 1.0, 2))
    level = noise * math.exp(0.25 * group.standard_normal() + 0.4 * own.standard_normal())
    return Camera(
        exposure=math.exp(min(max(log_exposure, -2.0 * exposure), 2.0 * exposure)),
        slope_x=float(slopes[0]),
        slope_y=float(slopes[1]),
        vignette=group.uniform(0.05, 0.3),
        blur=blur * (0.35 + 0.3 * group.random() + 0.35 * own.random()) * (size / 256.0) ** 0.5,
        read_noise=0.45 * level,
        shot_noise=0.9 * level,
    )


def rgb(red: float, green: float, blue: float) -> Floats:
    """Return a colour as (3, 1, 1), which broadcasts to a scene."""
    return floats([red, green, blue])[:, None, None]


def pixel_grid(size: int) -> tuple[Floats, Floats]:
    """Return x (1, size) and y (size, 1), which broadcast to the pixel centres' coordinates."""
    axis = np.arange(size, dtype=np.float32)
    return axis[None, :], axis[:, None]


def white_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Return normal deviates of ``shape``, from 4096 quantiles: plenty for eight bits, and three times as fast."""
    return NORMAL_QUANTILES.take(rng.integers(0, 4096, shape, dtype=np.uint16), mode="wrap")


def smooth_field(rng: np.random.Generator, size: int, scale: float) -> Floats:
    """Return a (size, size) field of zero mean and about unit deviation that changes over ``scale`` pixels."""
    knots = max(round(size / scale), 1) + 1
    field = rng.standard_normal((knots, knots), dtype=np.float32) * 1.3
    coarser = 4 if scale >= 10 else 2 if scale >= 5 else 1
    field = floats(cv2.resize(field, (size // coarser, size // coarser), interpolation=cv2.INTER_CUBIC))
    if coarser == 1:
        return field
    # linear from there on: the same to the eye, in a fifth of the time
    return floats(cv2.resize(field, (size, size), interpolation=cv2.INTER_LINEAR))


def fractal_field(rng: np.random.Generator, size: int, scale: float, octaves: int = 3) -> Floats:
    """Return a (size, size) field like clouds: each octave half as large and half as strong as the one before."""
    field = smooth_field(rng, size, scale)
    for octave in range(1, octaves):
        field += smooth_field(rng, size, max(scale / 2**octave, 1.5)) * 0.5**octave
    return field / 1.15


def grain(rng: np.random.Generator, size: int, sigma: float) -> Floats:
    """Return (size, size) white noise smoothed over ``sigma`` pixels, at least 0.5, of about unit deviation."""
    smooth = blurred(white_noise(rng, (size, size)), sigma)
    return smooth * (2.0 * math.sqrt(math.pi) * sigma)


def blurred(image: Floats, sigma: float) -> Floats:
    """Return a (H, W) plane or a (C, H, W) scene smoothed by a Gaussian of ``sigma`` pixels."""
    if sigma < 0.15:
        return image
    if image.ndim == 2:
        return floats(cv2.GaussianBlur(image, (0, 0), sigma))
    return np.stack([blurred(plane, sigma) for plane in image])


def coverage(signed_distance: Floats) -> Floats:
    """Return how much of each pixel lies inside a shape, from the distance to its border (negative inside)."""
    return floats(np.clip(0.5 - signed_distance, 0.0, 1.0))
