"""Instances as plain rows: box, outline, run lengths, area, class, score and tiles, in pixels of the image as read.

Letters: H and W height and width of an image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from callbacks.report.instance_drawing import draw_instances
from datamodules.outlines.regions import mask_rings
from datamodules.samples.detections import EMPTY, Instance, Region, run_lengths, trim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datamodules.files.fitting import Placement
    from datamodules.samples.detections import Mask

    from .network import Array
    from .result import Result

DIGITS = 3
MEASURES = ("left", "top", "width", "height", "area", "area_percent", "tiles", "outline")
COLUMNS = ("instance", "class", "score", *MEASURES)
"""Of instances.csv, behind what names the picture; ``area_percent`` is a share of the part, or of the picture."""
UNNAMED = "defect"


def class_name(label: int, classes: Sequence[str]) -> str:
    """Name a label, from 1; ``defect`` where the model tells no classes."""
    return (classes[label - 1] if 0 < label <= len(classes) else "") or UNNAMED


def instance_row(
    number: int, one: Instance, size: tuple[int, int], whole: float, classes: Sequence[str]
) -> dict[str, Any]:
    """Turn an instance into plain values.

    Args:
        number: Within its part or image, from 1.
        one: Its region, mask and box in pixels of the image.
        size: H and W.
        whole: Area that its own is a share of, in square pixels.
        classes: Names of labels, from label 1.
    """
    top, left = one.region[:2]
    height, width = one.region.size
    area = int(np.count_nonzero(one.mask))
    return {
        "instance": number,
        "class": class_name(one.label, classes),
        "label": one.label,
        "score": one.score,
        "left": left,
        "top": top,
        "width": width,
        "height": height,
        "area": area,
        "area_percent": round(100 * area / whole, DIGITS + 2) if whole > 0 else None,
        "tiles": one.tiles,
        "box": [round(edge, DIGITS) for edge in one.box],
        "outline": outline_of(one),
        "rle": {"size": [*size], "counts": run_lengths(one, size)},
    }


def rows_of_instances(result: Result) -> list[dict[str, Any]]:
    """Turn the defects that an instance model found on an image into rows, in pixels of the image as read."""
    whole = result.size[0] * result.size[1]
    return [
        instance_row(number, one, result.size, whole, result.classes)
        for number, one in enumerate(_placed(result), start=1)
    ]


def overlay_of_instances(result: Result, image_HW3: Array) -> Array:
    """Draw them over the image at its full size, with boxes, numbers, classes and scores: (H, W, 3) RGB uint8.

    Args:
        result: See there.
        image_HW3: What the model saw, RGB uint8.
    """
    grown = cv2.resize(image_HW3, result.size[::-1], interpolation=cv2.INTER_LINEAR)
    drawn = np.ascontiguousarray(grown, dtype=np.uint8)
    words = (f"{number}: {class_name(one.label, result.classes)} {one.score:.2f}"
             for number, one in enumerate(_placed(result), start=1))  # fmt: skip
    draw_instances(drawn, list(zip(words, _placed(result), strict=True)))
    return drawn


def _placed(result: Result) -> list[Instance]:
    """Lay the defects of an image, whose boxes are laid onto it already, onto it."""
    if result.mask is None:
        return []
    placed = (_through(one, result.placed)._replace(box=one.box) for one in result.counted)
    return [one for one in placed if one.region != EMPTY]


def _through(one: Instance, placement: Placement) -> Instance:
    """Lay an instance of what a model saw onto the image on disk; what lies in the padding is cut off."""
    if placement.whole:
        return on_image(one, placement.seen, placement.size)
    frame, part = placement.frame, placement.part
    top, left = max(one.region.top, frame.top), max(one.region.left, frame.left)
    bottom, right = min(one.region.bottom, frame.bottom), min(one.region.right, frame.right)
    if bottom <= top or right <= left:
        return one._replace(mask=one.mask[:0, :0], region=EMPTY)
    inner = one.mask[top - one.region.top : bottom - one.region.top, left - one.region.left : right - one.region.left]
    cut, region = trim(inner, Region(top - frame.top, left - frame.left, bottom - frame.top, right - frame.left))
    laid = on_image(one._replace(mask=cut, region=region), frame.size, part.size)
    if laid.region == EMPTY:
        return laid
    return laid._replace(
        region=Region(
            laid.region.top + part.top,
            laid.region.left + part.left,
            laid.region.bottom + part.top,
            laid.region.right + part.left,
        )
    )


def outline_of(one: Instance) -> list[list[float]]:
    """Outline a mask by polygons, x and y in turn, that fill to the very same pixels."""
    if one.region == EMPTY:
        return []
    origin = np.array([one.region.left, one.region.top], dtype=np.float64)
    return [(ring + origin).ravel().tolist() for ring in mask_rings(one.mask)]


def on_image(one: Instance, seen: tuple[int, int], size: tuple[int, int]) -> Instance:
    """Lay an instance that was found on an image of another size onto the image as read; its box, too.

    Args:
        one: In pixels of what was judged.
        seen: Height and width of that.
        size: H and W of the image as read.
    """
    if seen == size:
        return one
    tall, wide = size[0] / seen[0], size[1] / seen[1]
    left, top, right, bottom = one.box
    mask, region = _resized(one, tall, wide, size)
    return one._replace(box=(left * wide, top * tall, right * wide, bottom * tall), mask=mask, region=region)


def _resized(one: Instance, tall: float, wide: float, size: tuple[int, int]) -> tuple[Mask, Region]:
    if one.region == EMPTY:
        return one.mask, one.region
    top, bottom = _ends(one.region.top, one.region.bottom, tall, size[0])
    left, right = _ends(one.region.left, one.region.right, wide, size[1])
    grown = cv2.resize(one.mask.astype(np.uint8), (right - left, bottom - top), interpolation=cv2.INTER_NEAREST_EXACT)
    return trim(grown > 0, Region(top, left, bottom, right))


def _ends(low: int, high: int, factor: float, length: int) -> tuple[int, int]:
    """Scale the ends of a side; at least one pixel is left."""
    first = min(round(low * factor), length - 1)
    return first, min(max(round(high * factor), first + 1), length)
