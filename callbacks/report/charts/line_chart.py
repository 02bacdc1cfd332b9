"""A chart of lines over a common axis, for measures without a figure of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .svg import Axis, circle, figure, line, nice_step, nice_ticks, padded_range, polyline, text, tick_label

if TYPE_CHECKING:
    from markupsafe import Markup

    from callbacks.measures.figures import Chart, Line

_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 14, 24, 46
_KINDS = ("f1", "recall", "precision")  # strokes of page.css, that eyes and printers tell apart; then they repeat
_MOST_DOTS = 60


def line_chart(chart: Chart, width: float) -> Markup:
    """Draw all lines over one pair of axes.

    Args:
        chart: With at least one point in all.
        width: Of the drawing, in pixels at full size.
    """
    height = min(width, 330.0)
    x_values = [value for one in chart.lines for value in one.x_P]
    y_values = [value for one in chart.lines for value in one.y_P]
    x = Axis(*fitting_range(x_values), _LEFT, width - _RIGHT)
    y = Axis(*fitting_range(y_values), height - _BOTTOM, _TOP)
    parts = [*_grid(x, y, width), text(0, 12, chart.y_name, "label")]
    parts.append(text(x.end, y.start + 38, chart.x_name, "label", "end"))
    for one, (_, kind) in zip(chart.lines, names_of_lines(chart), strict=True):
        parts += _line(one, kind, x, y)
    described = "; ".join(f"{one.name}: {len(one.x_P)} points" for one in chart.lines)
    return figure(width, height, chart.title, f"{described}.", *parts)


def names_of_lines(chart: Chart) -> list[tuple[str, str]]:
    """Name every line, with the class of its stroke."""
    kinds, named = 0, []
    for one in chart.lines:
        named.append((one.name, "chance" if one.guide else _KINDS[kinds % len(_KINDS)]))
        kinds += not one.guide
    return named


def fitting_range(values: list[float]) -> tuple[float, float]:
    """Range of an axis: shares have it from 0 to 1, all else where its values lie, with some air."""
    if values and all(0 <= value <= 1 for value in values):
        return 0.0, 1.0
    return padded_range(values)


def _grid(x: Axis, y: Axis, width: float) -> list[Markup]:
    """Grid lines with their values."""
    count = 8 if width > 450 else 5
    parts = []
    y_step, x_step = nice_step(y.high - y.low, 6), nice_step(x.high - x.low, count)
    for tick in nice_ticks(y.low, y.high, 6):
        parts.append(line(x.start, y(tick), x.end, y(tick), "grid"))
        parts.append(text(x.start - 7, y(tick) + 4, tick_label(tick, y_step), "tick", "end"))
    parts.append(line(x.start, y.start, x.end, y.start, "axis"))
    for tick in nice_ticks(x.low, x.high, count):
        parts.append(line(x(tick), y.start, x(tick), y.start + 4, "axis"))
        parts.append(text(x(tick), y.start + 18, tick_label(tick, x_step), "tick", "middle"))
    return parts


def _line(one: Line, kind: str, x: Axis, y: Axis) -> list[Markup]:
    """Draw a line, and its points where they can be told apart."""
    points = [(x(float(a)), y(float(b))) for a, b in zip(one.x_P, one.y_P, strict=True)]
    drawn = [polyline(points, kind if one.guide else f"curve {kind}")]
    return drawn if one.guide or len(points) > _MOST_DOTS else [*drawn, *(circle(a, b, 3, "dot") for a, b in points)]
