"""Anomaly maps made visible: colours, overlays and strips, as plain arrays that any page or log can take.

Shape letters: H and W image height and width. Images are RGB, uint8.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from callbacks.measures.examples import Example

RgbImage = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

MARKED_COLOUR = (0, 208, 255)
"""Contour of the defect that a person marked: cyan, which the colours of the map never come near."""
PREDICTED_COLOUR = (255, 255, 255)
"""Contour of the region that the detector calls defective: white."""
_HALO_COLOUR = (16, 16, 16)  # contours must show on white paper and on black rubber alike

_FADE_FROM, _FADE_TO, _OPACITY = 0.25, 0.75, 0.55
_UNMARKED = 232, 220  # two greys of the hatching that stands for "nobody marked this image"


def colour_map(map_HW: npt.NDArray[np.float32], low: float, high: float) -> RgbImage:
    """Colour a map from black over purple and orange to pale yellow, in steps that look equally large.

    Args:
        map_HW: Raw values, higher is worse. NaN is shown as the lowest value.
        low: Value of the darkest colour; lower values look the same.
        high: Value of the brightest colour; higher values look the same.

    Returns:
        (H, W, 3) uint8, RGB.

    Source: the colour map *inferno*, van der Walt and Smith, SciPy 2015.
    """
    level_HW = np.rint(255 * _position(map_HW, low, high)).astype(np.uint8)
    return _rgb(cv2.cvtColor(cv2.applyColorMap(level_HW, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB))


def overlay(
    image_HW3: RgbImage,
    map_HW: npt.NDArray[np.float32],
    low: float,
    high: float,
    mask_HW: Mask | None = None,
    predicted_mask_HW: Mask | None = None,
) -> RgbImage:
    """Blend a map over its image where its values are high, and outline what was predicted and what is marked.

    The image stays as it is where the map lies in the lowest quarter of its range. Contours run outside their region,
    so that a defect of one pixel stays visible.

    Args:
        image_HW3: The image, RGB.
        map_HW: Raw values, higher is worse.
        low: See `colour_map`.
        high: See `colour_map`.
        mask_HW: The marked defect, outlined in `MARKED_COLOUR`.
        predicted_mask_HW: What is called defective, outlined in `PREDICTED_COLOUR`.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        ValueError: Where a map or mask differs in size from the image.
    """
    for name, array in (("map", map_HW), ("mask", mask_HW), ("predicted mask", predicted_mask_HW)):
        if array is not None and array.shape != image_HW3.shape[:2]:
            raise ValueError(
                f"Expected the {name} to be as large as its picture, {image_HW3.shape[:2]}, but got {array.shape}; "
                "resize it first."
            )
    fade = np.clip((_position(map_HW, low, high) - _FADE_FROM) / (_FADE_TO - _FADE_FROM), 0, 1)
    opacity_HW1 = (_OPACITY * fade * fade * (3 - 2 * fade))[..., None]  # smoothstep: no visible edge where it begins
    blended = np.rint(image_HW3 * (1 - opacity_HW1) + colour_map(map_HW, low, high) * opacity_HW1).astype(np.uint8)
    for contour, colour in ((predicted_mask_HW, PREDICTED_COLOUR), (mask_HW, MARKED_COLOUR)):
        if contour is not None:
            _outline(blended, contour, colour)
    return blended


def mask_image(mask_HW: Mask | None, shape: tuple[int, int]) -> RgbImage:
    """Return a mask in white on black, or a pale hatching of the given height and width where nobody marked one."""
    if mask_HW is not None:
        return np.repeat(np.where(mask_HW, 255, 0).astype(np.uint8)[..., None], 3, axis=2)
    row, column = np.indices(shape)
    grey = np.where((row + column) // 4 % 4 == 0, *reversed(_UNMARKED)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def strip(example: Example, low: float, high: float) -> RgbImage:
    """Return one image of an example: image, map, mask and overlay side by side, a white gap between them.

    Args:
        example: The image and what was found in it.
        low: See `colour_map`.
        high: See `colour_map`.

    Returns:
        (H, 4 W + 3 gaps, 3) uint8, RGB.
    """
    panels = panels_of(example, low, high)
    gap = np.full((example.image.shape[0], max(2, example.image.shape[1] // 64), 3), 255, dtype=np.uint8)
    return np.hstack([part for panel in panels for part in (gap, panel)][1:])


def panels_of(example: Example, low: float, high: float) -> tuple[RgbImage, RgbImage, RgbImage, RgbImage]:
    """Return image, map, mask and overlay of an example, each (H, W, 3)."""
    height, width = example.image.shape[:2]
    return (
        example.image,
        colour_map(example.anomaly_map, low, high),
        mask_image(example.mask, (height, width)),
        overlay(example.image, example.anomaly_map, low, high, example.mask, example.predicted_mask),
    )


def enlarged(example: Example, factor: int) -> Example:
    """Return the same example, every pixel ``factor`` times as high and wide; images and maps are interpolated."""
    height, width = example.image.shape[:2]
    size = width * factor, height * factor

    def grown(mask: Mask | None) -> Mask | None:
        if mask is None:
            return None
        return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0

    return replace(
        example,
        image=_rgb(cv2.resize(example.image, size, interpolation=cv2.INTER_CUBIC)),
        anomaly_map=np.asarray(cv2.resize(example.anomaly_map, size, interpolation=cv2.INTER_LINEAR), np.float32),
        mask=grown(example.mask),
        predicted_mask=grown(example.predicted_mask),
    )


def data_uri(image: RgbImage, longest_edge: int = 384, *, lossless: bool = False) -> str:
    """Return an image as a ``data:`` address in WebP, shrunk to the longest edge in pixels where it is larger."""
    height, width = image.shape[:2]
    if (scale := longest_edge / max(height, width)) < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = _rgb(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=84, method=4, lossless=lossless)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _position(map_HW: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.float64]:
    """Tell where values lie between low and high, clipped to [0, 1]; a range without width has everything at 0 or 1."""
    value = np.nan_to_num(map_HW.astype(np.float64), nan=low, posinf=high, neginf=low)
    if not high > low:
        return (value > low).astype(np.float64)
    return np.clip((value - low) / (high - low), 0, 1)


def _outline(image: RgbImage, mask_HW: Mask, colour: tuple[int, int, int]) -> None:
    """Draw a line around a region, in place, with a thin dark one around it."""
    thickness = max(1, round(max(mask_HW.shape) / 200))
    region = mask_HW.astype(np.uint8)
    line = _grown(region, thickness)
    halo = _grown(line, max(1, thickness // 2))
    image[(halo > 0) & (line == 0)] = _HALO_COLOUR
    image[(line > 0) & ~mask_HW] = colour


def _grown(region_HW: RgbImage, pixels: int) -> RgbImage:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return _rgb(cv2.dilate(region_HW, kernel))


def _rgb(array: npt.NDArray[np.generic]) -> RgbImage:
    """OpenCV's stubs promise any array; what comes back here is uint8."""
    return np.asarray(array, dtype=np.uint8)
