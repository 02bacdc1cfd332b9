"""The shapes that labelme draws, and what outlines they are (labelme/shape.py and labelme/utils/shape.py)."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.errors import UnreadableImageError
from datamodules.files.images import decode_image

from .parsing import parse_points, parse_ring
from .polygons import Outline, OutlineError
from .regions import circle_ring, mask_rings, rectangle_ring

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .polygons import Points

_NO_AREA = ("line", "linestrip", "point", "points")
_FINE = ("good", "ok", "normal")
_FAR = 2**31  # beyond any image: whole numbers end further out
_AS_POLYGON = "outline it as a polygon, or delete it"


def parse_shape(entry: Any) -> tuple[Outline, Hashable]:
    """Parse one shape; shapes of one label and ``group_id`` are one object.

    Raises:
        OutlineError: It has no area, or its points are not those of its type.
    """
    if not isinstance(entry, dict) or "points" not in entry:
        raise OutlineError('without "points"')
    label, group = str(entry.get("label") or ""), entry.get("group_id")
    return Outline(_rings(entry), label), None if group is None else (label, str(group))


def set_flags(data: dict[str, Any]) -> list[str]:
    """List the ticked flags of the whole image, except those that call it good."""
    return [name for name in ticked_flags(data) if name.strip().lower() not in _FINE]


def ticked_flags(data: dict[str, Any]) -> list[str]:
    """List the ticked flags of the whole image."""
    flags = data.get("flags")
    return [str(name) for name, value in flags.items() if value is True] if isinstance(flags, dict) else []


def _rings(entry: dict[str, Any]) -> tuple[Points, ...]:
    shape, points = str(entry.get("shape_type") or "polygon"), entry["points"]
    if shape in _NO_AREA:
        raise OutlineError(f"of type {shape!r}, which has no area", _AS_POLYGON)
    if shape in {"polygon", "rotation"}:  # X-AnyLabeling's turned rectangles have four corners
        return (parse_ring(points),)
    if shape not in {"rectangle", "circle", "mask"}:
        raise OutlineError(f"of type {shape!r}, where polygon, rectangle, circle or mask is expected", _AS_POLYGON)
    corners = parse_points(points)
    if shape == "rectangle" and len(corners) == 4:
        return (corners,)
    if len(corners) != 2:
        raise OutlineError(f"of type {shape!r} with {len(corners)} points, where two are expected", _AS_POLYGON)
    if shape == "circle":
        return (circle_ring(*corners),)
    if shape == "rectangle":
        return (rectangle_ring(*corners.ravel()),)
    return _mask(entry.get("mask"), corners)


def _mask(text: Any, corners: Points) -> tuple[Points, ...]:
    """Decode a mask: a PNG in base64, whose first and last pixels are the corners."""
    try:
        values = decode_image(base64.b64decode(str(text), validate=True), "mask")
    except (binascii.Error, UnreadableImageError) as error:
        raise OutlineError("of type 'mask', whose PNG cannot be decoded", _AS_POLYGON) from error
    (x1, y1), (x2, y2) = np.clip(corners, -_FAR, _FAR).astype(int).tolist()
    if values.shape[:2] != (y2 - y1 + 1, x2 - x1 + 1):
        found = f"{values.shape[1]}x{values.shape[0]} pixels between corners {x2 - x1 + 1}x{y2 - y1 + 1} apart"
        raise OutlineError(f"of type 'mask', of {found}", _AS_POLYGON)
    on = (values if values.ndim == 2 else values.max(axis=2)) > 0
    if not on.any():
        raise OutlineError("of type 'mask', which marks no pixel", _AS_POLYGON)
    return tuple(ring + np.array((x1, y1)) for ring in mask_rings(on))
