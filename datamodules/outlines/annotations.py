"""The outlines of a picture, from a file in any of the known forms, without those that cannot be right."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from datamodules.errors import UnreadableImageError

from .coco import coco_picture, load_coco
from .polygon_files import LEFT_OUT, Labels, load_json, parse_labels
from .polygons import clip, fill, signed_area

if TYPE_CHECKING:
    from pathlib import Path

    from .polygons import Outline

_LEAST_INSIDE = 0.5  # of an outline's area: with less it was drawn on another picture, or at another size


def read_annotation(path: str | Path, image_path: str | Path, height: int, width: int) -> Labels:
    """Read the outlines of one picture; those that cannot be right become problems.

    Args:
        path: The file: the o-ring system's form, labelme or COCO.
        image_path: The picture; a COCO file holds many.
        height: Of the picture in pixels.
        width: Of the picture in pixels.

    Raises:
        UnreadableImageError: The file is missing, no JSON, of no known form, does not know the picture, or is made for
            one of another size.
    """
    labels = _read(path, image_path)
    if labels.size is not None and labels.size != (height, width):
        found = f"is for a picture of {labels.size[1]}x{labels.size[0]} pixels, but {image_path} has {width}x{height}"
        raise UnreadableImageError(path, found, "export it again for this picture, or restore the picture")
    outlines, problems = [], list(labels.problems)
    for outline in labels.outlines:
        if fault := _fault(outline, height, width):
            x, y = outline.rings[0][0]
            found = f"has an outline, from point ({x:g}, {y:g}), that {fault}"
            problems.append(UnreadableImageError(path, found, LEFT_OUT))
        else:
            outlines.append(outline)
    return replace(labels, outlines=outlines, problems=problems)


def _read(path: str | Path, image_path: str | Path) -> Labels:
    coco = load_coco(path)
    if coco is None:
        return parse_labels(load_json(path), path)
    picture = coco_picture(coco, image_path)
    if picture is None:
        raise UnreadableImageError(path, f"does not name {image_path}", "export it again with this picture")
    return picture.labels


def _fault(outline: Outline, height: int, width: int) -> str | None:
    """Say what is wrong with an outline on a picture of this size, if anything."""
    within = clip(outline, width, height)
    if within is None or _area(within) < _LEAST_INSIDE * _area(outline):
        return f"lies outside the picture, which has {width}x{height} pixels"
    if not fill(outline.rings, height, width).any():
        return "covers no pixel"
    return None


def _area(outline: Outline) -> float:
    return sum(abs(signed_area(ring)) for ring in outline.rings)
