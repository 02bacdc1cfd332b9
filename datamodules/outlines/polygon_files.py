"""Files with the outlines of one picture, in the o-ring system's own form or labelme's: read and written.

All numbers are kept as they are, so that a round trip loses no vertex. What is wrong with one outline is noted, and the
others go on.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.errors import UnreadableImageError
from datamodules.images import read_bytes

from .polygons import Outline, Points

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence
    from pathlib import Path

LEFT_OUT = "mend or delete it; it is left out"


@dataclass(frozen=True)
class Labels:
    """The outlines of one picture.

    Attributes:
        outlines: In the order of the file.
        problems: Outlines that were left out, and why.
        size: Height and width of the picture as the file has it, or None where it does not say.
    """

    outlines: list[Outline] = field(default_factory=list)
    problems: list[UnreadableImageError] = field(default_factory=list)
    size: tuple[int, int] | None = None


class OutlineError(ValueError):
    """One outline of a file cannot be used; the message continues "outline 3 ..."."""


def load_json(path: str | Path) -> Any:
    """Load a JSON file, with or without a byte order mark.

    Raises:
        UnreadableImageError: It is missing, empty, or no JSON.
    """
    try:
        return json.loads(read_bytes(path).decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        remedy = "export it again, or delete it"
        raise UnreadableImageError(path, f"is no JSON that can be read ({error})", remedy) from error


def parse_labels(data: Any, path: str | Path) -> Labels:
    """Parse ``{"polygons": [{"points": [{"x": 1.5, "y": 2}, ...]}, ...]}``, or what labelme writes.

    The o-ring system writes no names; a ``label`` beside ``points`` is read where there is one.

    Raises:
        UnreadableImageError: It is neither.
    """
    if isinstance(data, dict) and isinstance(data.get("polygons"), list):
        return collect(data["polygons"], _own, path)
    if isinstance(data, dict) and isinstance(data.get("shapes"), list):
        return replace(collect(data["shapes"], _labelme, path), size=declared_size(data, "imageHeight", "imageWidth"))
    found = f"holds {', '.join(map(repr, list(data)[:5]))}" if isinstance(data, dict) else "holds no outlines"
    remedy = 'export it as {"polygons": [{"points": [{"x": 1, "y": 2}, ...]}]}, labelme, or COCO'
    raise UnreadableImageError(path, f"{found}, which is no known form of outlines", remedy)


def collect(entries: Iterable[Any], parse: Callable[[Any], tuple[Outline, Hashable]], path: str | Path) -> Labels:
    """Parse every entry to an outline and a key; equal keys other than None make one object of several rings."""
    outlines: dict[Hashable, Outline] = {}
    problems = []
    for number, entry in enumerate(entries, start=1):
        try:
            outline, key = parse(entry)
        except OutlineError as error:
            problems.append(UnreadableImageError(path, f"has an outline, number {number}, {error}", LEFT_OUT))
            continue
        key = ("alone", number) if key is None else key
        before = outlines[key].rings if key in outlines else ()
        outlines[key] = replace(outline, rings=before + outline.rings)
    return Labels(list(outlines.values()), problems)


def parse_ring(points: Any) -> Points:
    """Parse a list of ``{"x": 1, "y": 2}`` or ``[1, 2]``.

    Raises:
        OutlineError: It is none, or has fewer than three points.
    """
    try:
        pairs = [(point["x"], point["y"]) if isinstance(point, dict) else (point[0], point[1]) for point in points]
        ring = np.array([(float(x), float(y)) for x, y in pairs], dtype=np.float64).reshape(-1, 2)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise OutlineError("whose points are no x and y") from error
    if not np.isfinite(ring).all():
        raise OutlineError("with a point that is no number (NaN or infinite)")
    if len(ring) < 3:
        raise OutlineError(f"with {len(ring)} points, where an outline needs three")
    return ring


def declared_size(data: dict[str, Any], height: str, width: str) -> tuple[int, int] | None:
    """Return the height and width that a file says its picture has, or None where it does not."""
    values = data.get(height), data.get(width)
    numbers = [int(value) for value in values if isinstance(value, (int, float)) and math.isfinite(value) and value > 0]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None


def to_own(outlines: Sequence[Outline]) -> dict[str, Any]:
    """Make the o-ring system's form; an object of several rings becomes several polygons."""
    return {
        "polygons": [
            ({"label": outline.label} if outline.label else {})
            | {"points": [{"x": x, "y": y} for x, y in ring.tolist()]}
            for outline in outlines
            for ring in outline.rings
        ]
    }


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


def _labelme(entry: Any) -> tuple[Outline, Hashable]:
    if not isinstance(entry, dict) or "points" not in entry:
        raise OutlineError('without "points"')
    shape, points = entry.get("shape_type") or "polygon", entry["points"]
    if shape == "rectangle" and isinstance(points, list) and len(points) == 2:
        (x1, y1), (x2, y2) = points
        points = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]
    elif shape != "polygon":
        raise OutlineError(f"of type {shape!r}, where a polygon or a rectangle is expected")
    label, group = str(entry.get("label") or ""), entry.get("group_id")
    return Outline((parse_ring(points),), label), None if group is None else (label, str(group))
