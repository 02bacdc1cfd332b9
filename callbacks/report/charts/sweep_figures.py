"""Figures of a sweep: the ranking with its intervals, parallel coordinates, importances, and Pareto fronts."""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING, NamedTuple

from callbacks.report.wording import DASH, share

from .svg import (
    Axis,
    circle,
    diamond,
    element,
    figure,
    line,
    nice_step,
    nice_ticks,
    points,
    polyline,
    rectangle,
    text,
    tick_label,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from callbacks.report.sweep_content import Span

_ROW, _HEAD, _FOOT = 34.0, 8.0, 44.0
_LABEL_SHARE = 0.36  # of the width, for names beside a plot
_FEWEST_TICKS = 3  # of an axis by factors
_MOST_LABELS = 9  # of one axis of parallel coordinates
_APART = 14.0  # between two numbers of a front, in pixels
_CHARACTER = 6.4  # width of one, in pixels, at the size of labels


class Ranked(NamedTuple):
    """A row of a ranking: its name; value, low and high on calibration and on test images; its place.

    What is not known is None; without a place, rows are numbered as they are listed.
    """

    name: str
    calibration: Span | None
    test: Span | None
    place: int | str = ""


class Costed(NamedTuple):
    """A point of a Pareto figure: its name, what it costs, how good it is, and whether nothing beats it in both."""

    name: str
    cost: float
    quality: float
    best: bool


def ranking_figure(rows: Sequence[Ranked], width: float) -> Markup:
    """Value and interval of every row: calibration as a dot, test as a diamond beneath.

    Args:
        rows: Best first; at least one.
        width: Of the drawing, in pixels at full size.
    """
    spans = [span for row in rows for span in (row.calibration, row.test) if span is not None]
    ends = [value for span in spans for value in span if value is not None]
    wide = width > 400
    left = _LABEL_SHARE * width if wide else 8.0
    step = _ROW if wide else _ROW + 14
    bottom = _HEAD + step * len(rows)
    low = min([0.95, *ends])
    x = Axis(max(0.0, low - 0.03), 1.0, left + 6, width - 12)
    ticks = nice_ticks(x.low, 1.0, 6 if wide else 4)
    parts = [line(x(tick), _HEAD, x(tick), bottom, "grid") for tick in ticks]
    unit = nice_step(x.high - x.low, 6 if wide else 4)
    parts += [text(x(tick), bottom + 16, tick_label(tick, unit), "tick", "middle") for tick in ticks]
    parts.append(text(x.end, bottom + 36, "AUROC", "label", "end"))
    for index, row in enumerate(rows):
        top = _HEAD + step * index
        name = _cut(f"{row.place or index + 1}. {row.name}", left - 8 if wide else width - 16)
        parts.append(text(0 if wide else 8, top + (20 if wide else 12), name, "strong" if index == 0 else "label"))
        middle = top + (14 if wide else 24)
        for span, y, kind in ((row.calibration, middle, "model"), (row.test, middle + 11, "baseline")):
            if span is not None:
                mark = circle if kind == "model" else diamond
                if span[1] is not None and span[2] is not None:
                    parts.append(line(x(span[1]), y, x(span[2]), y, f"range {kind}"))
                parts.append(mark(x(span[0]), y, 4, f"value {kind}"))
    described = "; ".join(f"{row.name}: {share(row.calibration[0]) if row.calibration else DASH}" for row in rows[:5])
    return figure(width, bottom + _FOOT, "Ranking by AUROC on calibration pictures", described, *parts)


def parallel_figure(
    axes: Mapping[str, Sequence[str]], rows: Sequence[tuple[Mapping[str, str], float]], width: float, name: str
) -> Markup:
    """Draw one line per trial through its values, ending at its objective; the better, the stronger.

    Args:
        axes: The values of every key, in order.
        rows: Settings and objectives, best first; a key that a setting lacks is drawn at the foot.
        width: Of the drawing, in pixels at full size.
        name: Of the last axis.
    """
    height, top, bottom = 346.0, 56.0, 312.0
    values = [value for _, value in rows]
    low, high = min(values), max(values)
    air = (high - low) * 0.04 or 0.01
    objective = Axis(low - air, high + air, bottom, top)
    count = len(axes)
    places = [12 + (width - 110) * index / count for index in range(count)] + [width - 60.0]
    heights = [_heights(texts, [setting.get(key) for setting, _ in rows], top, bottom) for key, texts in axes.items()]
    parts: list[Markup] = []
    for rank, (setting, value) in reversed(list(enumerate(rows))):
        corners = [(x, at[setting.get(key, "")]) for x, key, at in zip(places, axes, heights, strict=False)]
        corners.append((places[-1], objective(value)))
        strength = (value - low) / (high - low) if high > low else 1.0
        kind = "trial first" if rank == 0 else "trial"
        strokes: dict[str, str | float] = {
            "points": points(corners),
            "class": kind,
            "opacity": 1.0 if rank == 0 else 0.12 + 0.6 * strength**2,
        }
        parts.append(element("polyline", strokes))
    for index, (x, key, at) in enumerate(zip(places, axes, heights, strict=False)):
        room = places[index + 1] - x - 12
        parts += [
            line(x, top, x, bottom, "axis"),
            text(x, top - 36 if index % 2 else top - 22, _cut(key, 2 * room), "strong"),
        ]
        shown = list(at.items())
        every = -(-len(shown) // _MOST_LABELS)
        parts += [text(x + 5, y - 5, _cut(label or DASH, room), "tick on") for label, y in shown[::every]]
    parts += [line(places[-1], top, places[-1], bottom, "axis"), text(width, top - 22, name, "strong", "end")]
    unit = nice_step(objective.high - objective.low, 5)
    for tick in nice_ticks(objective.low, objective.high, 5):
        parts.append(text(places[-1] + 6, objective(tick) + 4, tick_label(tick, unit), "tick"))
    best = ", ".join(f"{key}={text}" for key, text in rows[0][0].items() if key in axes)
    return figure(width, height, "Parallel coordinates of all trials", f"The best: {best}.", *parts)


def importance_figure(shares: Sequence[tuple[str, float]], width: float) -> Markup:
    """Show how much of the objective's spread each key explains, as bars.

    Args:
        shares: Key and share in [0, 1], largest first; at least one.
        width: Of the drawing, in pixels at full size.
    """
    row = 26.0
    left = _LABEL_SHARE * width
    x = Axis(0, max(0.01, *(value for _, value in shares)), left, width - 60)
    parts = [line(left, 4, left, 4 + row * len(shares), "axis")]
    for index, (key, value) in enumerate(shares):
        y = 4 + row * index
        parts += [
            text(left - 8, y + 17, _cut(key, left - 8), "label", "end"),
            rectangle(left, y + 5, x(value) - left, row - 10, "share"),
            text(x(value) + 6, y + 17, f"{100 * value:.0f} %", "tick"),
        ]
    described = ", ".join(f"{key} {100 * value:.0f} %" for key, value in shares)
    return figure(width, 12 + row * len(shares), "Importance of each key", described, *parts)


def pareto_figure(found: Sequence[Costed], cost: str, quality: str, width: float) -> Markup:
    """Quality over cost, with the front that nothing beats in both.

    Args:
        found: At least one; costs above 0.
        cost: Name of the horizontal axis, with its unit.
        quality: Name of the vertical axis.
        width: Of the drawing, in pixels at full size.
    """
    height, left, top = 320.0, 44.0, 26.0
    costs, values = [log10(one.cost) for one in found], [one.quality for one in found]
    air = max(0.06 * (max(costs) - min(costs)), 0.08)
    x = Axis(min(costs) - air, max(costs) + air, left, width - 14)
    rise = (max(values) - min(values)) * 0.1 or 0.01
    y = Axis(min(values) - rise, max(values) + rise, height - 46, top)
    unit = nice_step(y.high - y.low, 5)
    parts = [text(0, 12, quality, "label")]
    for tick in nice_ticks(y.low, y.high, 5):
        parts += [
            line(left, y(tick), x.end, y(tick), "grid"),
            text(left - 7, y(tick) + 4, tick_label(tick, unit), "tick", "end"),
        ]
    for tick in _log_ticks(x.low, x.high):
        parts += [
            line(x(log10(tick)), y.start, x(log10(tick)), y.start + 4, "axis"),
            text(x(log10(tick)), y.start + 18, f"{tick:g}", "tick", "middle"),
        ]
    parts.append(text(x.end, y.start + 38, cost, "label", "end"))
    front = sorted((one for one in found if one.best), key=lambda one: one.cost)
    corners: list[tuple[float, float]] = []
    for one in front:
        if corners:
            corners.append((x(log10(one.cost)), corners[-1][1]))
        corners.append((x(log10(one.cost)), y(one.quality)))
    corners.append((x.end, corners[-1][1]))
    parts.append(polyline(corners, "curve front"))
    parts += [circle(x(log10(one.cost)), y(one.quality), 3.5, "beaten") for one in found if not one.best]
    last = -_APART
    for number, one in enumerate(front, start=1):
        at = (x(log10(one.cost)), y(one.quality))
        parts.append(circle(*at, 5, "value model"))
        if at[0] - last >= _APART or number == len(front):
            parts.append(text(at[0], at[1] - 9, str(number), "tick strong on", "middle"))
            last = at[0]
    described = "; ".join(f"{one.name}: {one.cost:.3g}, {one.quality:.3f}" for one in front)
    return figure(width, height, f"{quality} over {cost}", f"The front: {described}.", *parts)


def on_front(costs: Sequence[float], qualities: Sequence[float]) -> list[bool]:
    """Tell of every point whether no other is at least as good and as cheap, and better in one of the two."""
    pairs = list(zip(costs, qualities, strict=True))
    return [
        not any(c <= cost and q >= quality and (c < cost or q > quality) for c, q in pairs) for cost, quality in pairs
    ]


def _heights(texts: Sequence[str], used: Sequence[str | None], top: float, bottom: float) -> dict[str, float]:
    """Place the values of one axis: numbers of a search by their size, all others evenly; the empty one at the foot."""
    missing = any(value is None for value in used)
    foot = bottom - 24 if missing else bottom
    numbers = _numbers(texts)
    if numbers is not None and len(texts) > _MOST_LABELS:
        scale = (
            [log10(value) for value in numbers] if min(numbers) > 0 and max(numbers) > 20 * min(numbers) else numbers
        )
        axis = Axis(min(scale), max(scale), foot, top)
        places = {label: axis(value) for label, value in zip(texts, scale, strict=True)}
    else:
        gap = (foot - top) / max(1, len(texts) - 1)
        places = {
            label: foot - gap * index if len(texts) > 1 else (foot + top) / 2 for index, label in enumerate(texts)
        }
    return places | ({"": bottom} if missing else {})


def _numbers(texts: Sequence[str]) -> list[float] | None:
    try:
        return [float(label) for label in texts]
    except ValueError:
        return None


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two powers of ten: 1, 2 and 5 of each decade, or even steps within a part of one."""
    found = [factor * 10.0**power for power in range(int(low) - 2, int(high) + 2) for factor in (1, 2, 5)]
    inside = [value for value in found if low <= log10(value) <= high]
    if len(inside) < _FEWEST_TICKS:
        return [value for value in nice_ticks(10.0**low, 10.0**high, 5) if value > 0 and low <= log10(value) <= high]
    return inside if len(inside) <= 9 else [value for value in inside if f"{value:e}"[0] == "1"]


def _cut(words: str, room: float) -> str:
    """Shorten a label to the room that it has."""
    most = max(3, int(room / _CHARACTER))
    return words if len(words) <= most else f"{words[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
