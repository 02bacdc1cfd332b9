"""A chart of one measure over the parts of a lot against its limits, as statistical process control draws it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from callbacks.report.wording import plural

from .svg import Axis, circle, diamond, element, figure, line, nice_ticks, padded_range, polyline, text, tick_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 180.0, 58.0, 84.0, 12.0, 28.0
MOST_DOTS = 800  # of a lot: beyond, accepted parts are drawn as the line alone
PADDED = 0.08  # of the range, above and below
APART = 13.0  # pixels between the labels of two lines


class Point(NamedTuple):
    """One part.

    Attributes:
        value: Of the measure; NaN where unknown.
        state: Accepted, rework, rejected or unknown; empty where nobody decided.
    """

    value: float
    state: str


def control_chart(
    points: Sequence[Point], low: float | None, high: float | None, width: float, title: str
) -> Markup | None:
    """Draw values in the order of the parts, with their mean, and the limits where there are any.

    Args:
        points: In order.
        low: Least value that is accepted.
        high: Greatest value that is accepted.
        width: Of the figure in CSS pixels.
        title: Says what is measured.

    Returns:
        The figure; None where no part has the measure.
    """
    known = [(place, point) for place, point in enumerate(points, start=1) if math.isfinite(point.value)]
    if not known:
        return None
    values = [point.value for _, point in known]
    mean = sum(values) / len(values)
    limits = [limit for limit in (low, high) if limit is not None]
    x = Axis(0.5, len(points) + 0.5, LEFT, width - RIGHT)
    bottom, top = padded_range([*values, *limits], PADDED)
    if min([*values, *limits]) >= 0:
        bottom = max(bottom, -PADDED * top)  # no ticks below 0 for what cannot be less
    y = Axis(bottom, top, HEIGHT - BOTTOM, TOP)
    named = [(mean, f"mean {_number(mean)}", "mean")]
    named += [(low, f"least {_number(low)}", "limit")] if low is not None else []
    named += [(high, f"most {_number(high)}", "limit")] if high is not None else []
    beyond = sum((low is not None and value < low) or (high is not None and value > high) for value in values)
    described = f"{plural(len(values), 'part')}, {beyond} outside the limits, mean {_number(mean)}."
    marks = [_mark(x(place), y(point.value), point.state, len(points)) for place, point in known]
    return figure(
        width,
        HEIGHT,
        title,
        described,
        *_axes(x, y, len(points), width),
        *_lines(named, y, width),
        polyline([(x(place), y(point.value)) for place, point in known], "course"),
        *[mark for mark in marks if mark],
    )


def _axes(x: Axis, y: Axis, count: int, width: float) -> list[Markup]:
    ticks = nice_ticks(y.low, y.high, 4)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    drawn = [line(LEFT, y(tick), width - RIGHT, y(tick), "grid") for tick in ticks]
    drawn += [text(LEFT - 6, y(tick) + 4, tick_label(tick, step), "label", "end") for tick in ticks]
    drawn.append(text(x(1), HEIGHT - 8, "part 1" if count > 1 else "part", "label"))
    return [*drawn, text(x(count), HEIGHT - 8, f"{count:,}", "label", "end")] if count > 1 else drawn


def _lines(named: list[tuple[float, str, str]], y: Axis, width: float) -> list[Markup]:
    """Draw lines, and their names at the right, apart from each other."""
    drawn, last = [], math.inf
    for value, words, kind in sorted(named):
        drawn.append(line(LEFT, y(value), width - RIGHT, y(value), kind))
        last = min(y(value) + 4, last - APART)
        drawn.append(text(width - RIGHT + 6, last, words, "label"))
    return drawn


def _mark(x: float, y: float, state: str, count: int) -> Markup | None:
    """Draw a part; shapes repeat what colours say."""
    kind = f"part {state or 'accepted'}"
    if state in {"rework", "rejected"}:
        return diamond(x, y, 4.5, kind)
    if state == "unknown":
        return element("rect", {"x": x - 3, "y": y - 3, "width": 6, "height": 6, "class": kind})
    return circle(x, y, 2.6, kind) if count <= MOST_DOTS else None


def _number(value: float) -> str:
    """Write a value with four figures that count."""
    digits = max(0, 3 - math.floor(math.log10(max(abs(value), 1e-3))))
    return f"{value:,.{min(digits, 4)}f}".replace("-", "\N{MINUS SIGN}")
