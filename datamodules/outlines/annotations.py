"""The outlines of an image, from a file in any of the known forms, without those that cannot be right."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from datamodules.errors import UnreadableImageError

from .coco import coco_image, load_coco
from .image_heads import image_head
from .parsing import Labels, load_json
from .polygon_files import parse_labels
from .polygons import clip, fill, signed_area

if TYPE_CHECKING:
    from pathlib import Path

    from .polygons import Outline

_MIN_INSIDE = 0.5  # of an outline's area: with less it was drawn on another image, or at another size
_SMALLEST = 2  # pixels of a side: on less, an outline may end at 1
_FARTHEST = 1.0  # image widths or heights beyond its border; tracing an outline takes time and memory by its length


class OtherSizeError(UnreadableImageError):
    """A label file was made for an image of another size."""


def read_annotation(path: str | Path, image_path: str | Path, height: int, width: int) -> Labels:
    """Read the outlines of one image; those that cannot be right become problems.

    A file may have the size from before the camera's orientation tag was applied, as Label Studio writes it. People
    outline what they see, so the outlines are those of the upright image.

    Args:
        path: The file: the o-ring system's form, labelme or COCO.
        image_path: The image; a COCO file holds many.
        height: Of the image in pixels, upright.
        width: Of the image in pixels, upright.

    Raises:
        OtherSizeError: The file is made for an image of another size.
        UnreadableImageError: The file is missing, no JSON, of no known form, or does not know the image.
    """
    labels = _read(path, image_path)
    size = labels.size or (height, width)
    turned = size != (height, width) and size == (width, height) and _is_turned(image_path)
    if size != (height, width) and not turned:
        found = f"is for a picture of {size[1]}x{size[0]} pixels, but {image_path} has {width}x{height}"
        raise OtherSizeError(path, found, "export it again for this image, or restore the image")
    outlines, problems = [], list(labels.problems)
    for outline in labels.outlines:
        if fault := _fault(outline, height, width):
            x, y = outline.rings[0][0]
            found = f"has an outline, from point ({x:g}, {y:g}), that {fault}"
            problems.append(UnreadableImageError(path, found, "mend or delete it; until then its image is left out"))
        else:
            outlines.append(outline)
    return replace(
        labels,
        outlines=[outline for outline in outlines if not outline.boxed],
        boxes=[outline.label for outline in outlines if outline.boxed],
        problems=problems,
        turned=turned,
    )


def _read(path: str | Path, image_path: str | Path) -> Labels:
    coco = load_coco(path)
    if coco is None:
        return parse_labels(load_json(path), path)
    image = coco_image(coco, image_path)
    if image is None:
        raise UnreadableImageError(path, f"does not name {image_path}", "export it again with this image")
    return image.labels()


def _is_turned(image_path: str | Path) -> bool:
    head = image_head(image_path)
    return head is not None and head.turned


def _fault(outline: Outline, height: int, width: int) -> str | None:
    """Say what is wrong with an outline on an image of this size, if anything."""
    size = np.array((width, height))
    if any((np.abs(ring - size / 2) > (0.5 + _FARTHEST) * size).any() for ring in outline.rings):
        return f"has a point far away, and lies outside the picture, which has {width}x{height} pixels"
    if all((ring >= 0).all() and (ring <= 1).all() for ring in outline.rings) and min(width, height) > _SMALLEST:
        return "has no point beyond 1: as shares of width and height, it seems; export it in pixels"
    within = clip(outline, width, height)
    if within is None or _area(within) < _MIN_INSIDE * _area(outline):
        return f"lies outside the picture, which has {width}x{height} pixels"
    if not fill(outline.rings, height, width).any():
        return "covers no pixel"
    return None


def _area(outline: Outline) -> float:
    return sum(abs(signed_area(ring)) for ring in outline.rings)
