"""Where on the end face defects fall, in the coordinates of its zones: all faces laid on one axis."""

from __future__ import annotations

from collections import Counter
from math import floor, hypot
from typing import TYPE_CHECKING, NamedTuple

from callbacks.report.wording import plural

from .svg import Axis, circle, element, figure, line, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

REACH = 150.0  # micrometres from the axis that are drawn
BIN = 10.0  # micrometres
LEFT, TOP, BOTTOM = 8.0, 8.0, 46.0
LEVELS = 5  # steps of colour


class Place(NamedTuple):
    """Where a defect lies, from the axis in micrometres, and its type."""

    x: float
    y: float
    type: str

    @property
    def near(self) -> bool:
        """Whether it is drawn."""
        return max(abs(self.x), abs(self.y)) < REACH


def face_heat(places: Sequence[Place], rings: Mapping[str, tuple[float, float]], width: float, title: str) -> Markup:
    """Draw how many defects have their centres in every square of 10 um, under the circles of the zones.

    Args:
        places: Near the axis.
        rings: Inner and outer diameter of zones in micrometres.
        width: Of the figure in CSS pixels.
        title: What is counted.
    """
    side = min(width, 440.0) - 2 * LEFT
    x = Axis(-REACH, REACH, LEFT, LEFT + side)
    y = Axis(-REACH, REACH, TOP, TOP + side)
    counts = Counter((floor(place.x / BIN), floor(place.y / BIN)) for place in places)
    most = max(counts.values(), default=0)
    cell = x(BIN) - x(0)
    squares = [
        _square(x(column * BIN), y(row * BIN), cell, f"heat-{level(count, most)}", f"{count}")
        for (column, row), count in sorted(counts.items())
    ]
    zones = [circle(x(0), y(0), x(outer / 2) - x(0), "zone-line") for _, outer in rings.values()]
    names = [
        text(x(0), y((inner + outer) / 4) + 4, name, "tick on", "middle") for name, (inner, outer) in rings.items()
    ]
    foot = TOP + side + 16
    scale = [line(x(0), foot - 6, x(100), foot - 6, "axis"), text(x(50), foot + 8, "100 um", "tick", "middle")]
    key = [
        _square(LEFT + 18 * step, foot - 10, 14, f"heat-{step + 1}", "") for step in range(LEVELS if most > 1 else 1)
    ]
    ends = [text(LEFT, foot + 18, "1", "tick"), text(LEFT + 18 * LEVELS - 4, foot + 18, f"{most}", "tick", "end")]
    inside = sum(hypot(place.x, place.y) <= max(outer for _, outer in rings.values()) / 2 for place in places)
    described = f"{plural(len(places), 'centre')} within {REACH:g} um of both axes, {inside} of them within the zones."
    parts = [*squares, *zones, *names, *scale, *key, *(ends if most > 1 else ends[:1])]
    return figure(min(width, 440.0), TOP + side + BOTTOM, title, described, *parts)


def level(count: int, most: int) -> int:
    """Return the step of colour of a count, 1 to ``LEVELS``."""
    return 1 if most <= 1 else 1 + round((count - 1) / (most - 1) * (LEVELS - 1))


def _square(left: float, top: float, side: float, kind: str, words: str) -> Markup:
    titles = [element("title", {}, words)] if words else []
    return element("rect", {"x": left, "y": top, "width": side, "height": side, "class": kind}, *titles)
