"""One annotation of a COCO file to one outline: polygons, run lengths, or a box alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .parsing import parse_ring
from .polygons import Outline, OutlineError
from .regions import box_ring, mask_rings, run_length_mask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .polygons import Points


class Conventions(NamedTuple):
    """What the whole file says about how its annotations are meant.

    Attributes:
        names: Names of the categories by their id as text; empty where the file has none.
        outlined: Some annotation has a segmentation, so that one without is half an annotation, and no box alone.
    """

    names: Mapping[str, str]
    outlined: bool


def id_text(value: Any) -> str | None:
    """Return an id as text, by which ids are compared: tools write 7, "7" and 7.0; None where there is no id."""
    if value is None or isinstance(value, (bool, dict, list)):
        return None
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    return text or None


def parse_annotation(annotation: Mapping[str, Any], conventions: Conventions, size: tuple[int, int] | None) -> Outline:
    """Parse one annotation of an image of ``size`` (height and width, where the file says so).

    A crowd region is an outline like any other: what it covers is defective.

    Raises:
        OutlineError: It is neither an outline nor a box.
    """
    label = _label(annotation, conventions)
    segmentation = annotation.get("segmentation")
    if segmentation:
        return Outline(_rings(segmentation, size), label)
    if not isinstance(segmentation, (list, dict)) and conventions.outlined:
        raise OutlineError("without a segmentation, where others of the file have one", "outline it, or delete it")
    if not annotation.get("bbox"):
        what = "with keypoints alone" if annotation.get("keypoints") else "without a segmentation or a box"
        raise OutlineError(what, "outline it, or delete it")
    return Outline((box_ring(annotation["bbox"]),), label, boxed=True)


def _label(annotation: Mapping[str, Any], conventions: Conventions) -> str:
    category = id_text(annotation.get("category_id"))
    if category is None or not conventions.names:
        return ""
    if category not in conventions.names:
        raise OutlineError(f"of category {category}, which the file does not list", "list it under categories")
    return conventions.names[category]


def _rings(segmentation: Any, size: tuple[int, int] | None) -> tuple[Points, ...]:
    if isinstance(segmentation, dict):
        return _run_length_rings(segmentation, size)
    if not isinstance(segmentation, list):
        raise OutlineError("whose segmentation is neither polygons nor run lengths")
    if not isinstance(segmentation[0], (list, dict)):  # one ring, where a list of rings is usual
        segmentation = [segmentation]
    rings: list[Points] = []
    for one in segmentation:
        rings += _run_length_rings(one, size) if isinstance(one, dict) else (_ring(one),)
    return tuple(rings)


def _ring(values: Any) -> Points:
    """Parse a ring: x and y in turns; a number too many at its end is left aside."""
    if not isinstance(values, list):
        raise OutlineError("whose points are not x and y")
    return parse_ring(list(zip(values[::2], values[1::2], strict=False)))


def _run_length_rings(segmentation: dict[str, Any], size: tuple[int, int] | None) -> tuple[Points, ...]:
    mask = run_length_mask(segmentation)
    if size is not None and mask.shape != size:
        height, width = mask.shape
        raise OutlineError(f"run-length encoded at {width}x{height} pixels, for an image of {size[1]}x{size[0]}")
    if not mask.any():
        raise OutlineError("run-length encoded, without a pixel")
    return mask_rings(mask)
