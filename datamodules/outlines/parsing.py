"""What the readers of all label files share: JSON, rings of points, sizes, and a list of what is wrong.

All numbers are kept as they are, so that a round trip loses no vertex. What is wrong with one outline is noted, and the
others go on: whoever asked decides what a half-read label is worth.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.errors import UnreadableImageError
from datamodules.files.images import read_bytes
from datamodules.files.regular_files import LARGEST_LABELS

from .polygons import Outline, OutlineError, Points

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from pathlib import Path


@dataclass(frozen=True)
class Labels:
    """The outlines of one image.

    Attributes:
        outlines: In the order of the file.
        boxes: Labels of the objects of which the file has a box and no outline.
        problems: Outlines that cannot be used, and why.
        size: Height and width of the image as the file has it, or None where it does not say.
        turned: That size is the one before the camera's orientation tag was applied.
    """

    outlines: list[Outline] = field(default_factory=list)
    boxes: list[str] = field(default_factory=list)
    problems: list[UnreadableImageError] = field(default_factory=list)
    size: tuple[int, int] | None = None
    turned: bool = False


def load_json(path: str | Path) -> Any:
    """Load a JSON file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises:
        UnreadableImageError: It is missing, empty, or not JSON.
    """
    try:
        return json.loads(read_bytes(path, LARGEST_LABELS))
    except (ValueError, RecursionError, MemoryError) as error:  # ValueError: no JSON, no text, or a number too long
        remedy = "export it again, or delete it"
        raise UnreadableImageError(path, f"is not JSON that can be read ({_first_line(error)})", remedy) from error


def collect(entries: Iterable[Any], parse: Callable[[Any], tuple[Outline, Hashable]], path: str | Path) -> Labels:
    """Parse every entry to an outline and a key; equal keys other than None make one object of several rings."""
    outlines: dict[Hashable, Outline] = {}
    problems = []
    for number, entry in enumerate(entries, start=1):
        try:
            outline, key = parse(entry)
        except OutlineError as error:
            remedy = f"{error.remedy}; until then its image is left out"
            problems.append(UnreadableImageError(path, f"has an outline, number {number}, {error}", remedy))
            continue
        key = ("alone", number) if key is None else key
        before = outlines[key].rings if key in outlines else ()
        outlines[key] = replace(outline, rings=before + outline.rings)
    return Labels(list(outlines.values()), problems=problems)


def parse_points(points: Any) -> Points:
    """Parse a list of ``{"x": 1, "y": 2}`` or ``[1, 2]``; coordinates beyond the second are left aside.

    Raises:
        OutlineError: It is not one.
    """
    try:
        pairs = [(point["x"], point["y"]) if isinstance(point, dict) else (point[0], point[1]) for point in points]
        parsed = np.array([(float(x), float(y)) for x, y in pairs], dtype=np.float64).reshape(-1, 2)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise OutlineError("whose points are not x and y") from error
    if not np.isfinite(parsed).all():
        raise OutlineError("with a point that is not a number (NaN or infinite)")
    return parsed


def parse_ring(points: Any) -> Points:
    """Parse the points of a closed ring.

    Raises:
        OutlineError: They are not valid, or fewer than three.
    """
    ring = parse_points(points)
    if len(ring) < 3:
        raise OutlineError(f"with {len(ring)} points, where an outline needs three")
    return ring


def declared_size(data: dict[str, Any], height: str, width: str) -> tuple[int, int] | None:
    """Return the height and width that a file says its image has, or None where it does not."""
    values = [as_number(data.get(key)) for key in (height, width)]
    numbers = [int(value) for value in values if value is not None and value > 0]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None


def as_number(value: Any) -> float | None:
    """Return a finite number, also where it is written as text; None for everything else."""
    try:
        number = float(value) if isinstance(value, (int, float, str)) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
