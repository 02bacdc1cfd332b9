"""Files with the outlines of one image, in the o-ring system's own form or labelme's: read and written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from datamodules.errors import UnreadableImageError

from .forms import recognise
from .labelme import parse_shape, set_flags
from .parsing import Labels, collect, declared_size, load_json, parse_ring
from .polygons import Outline, OutlineError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from pathlib import Path


class ForeignFormError(UnreadableImageError):
    """A label file is of a form that is known, and not read."""


def is_outlines(data: Any) -> bool:
    """Tell whether loaded JSON has one of the two forms."""
    return isinstance(data, dict) and any(isinstance(data.get(key), list) for key in ("polygons", "shapes"))


def holds_outlines(path: Path) -> bool:
    """Tell whether a file can be read and has one of the two forms."""
    try:
        return is_outlines(load_json(path))
    except UnreadableImageError:
        return False


def parse_labels(data: Any, path: str | Path) -> Labels:
    """Parse ``{"polygons": [{"points": [{"x": 1.5, "y": 2}, ...]}, ...]}``, or what labelme writes.

    The o-ring system writes no names; a ``label`` beside ``points`` is read where there is one.

    Raises:
        ForeignFormError: It is of a form that is known, and not read.
        UnreadableImageError: It is neither, and nobody knows what it is.
    """
    if not is_outlines(data):
        form = recognise(data)
        if form.labels:
            raise ForeignFormError(path, f"{form.what}, which is not read", form.remedy)
        raise UnreadableImageError(path, f"{form.what}, which is not a known form of outlines", form.remedy)
    if isinstance(data.get("polygons"), list):
        return collect(data["polygons"], _own, path)
    labels = replace(collect(data["shapes"], parse_shape, path), size=declared_size(data, "imageHeight", "imageWidth"))
    if (flags := set_flags(data)) and not data["shapes"]:
        found = f"outlines nothing, but has {', '.join(map(repr, flags))} ticked, and flags are not read"
        labels.problems.append(UnreadableImageError(path, found, "outline the defect, or untick it"))
    return labels


def to_labelme(outlines: Sequence[Outline], image_name: str, height: int, width: int) -> dict[str, Any]:
    """Make labelme's form; the rings of one object share a ``group_id``."""
    return {
        "version": "5.0.0",
        "flags": {},
        "shapes": [
            {
                "label": outline.label,
                "points": ring.tolist(),
                "group_id": number if len(outline.rings) > 1 else None,
                "shape_type": "polygon",
                "flags": {},
            }
            for number, outline in enumerate(outlines)
            for ring in outline.rings
        ],
        "imagePath": image_name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def _own(entry: Any) -> tuple[Outline, Hashable]:
    if not isinstance(entry, dict) or "points" not in entry:
        raise OutlineError('without "points"')
    return Outline((parse_ring(entry["points"]),), str(entry.get("label") or "")), None
