"""The figures of scans: how a measure, a key or a size is distributed."""

from __future__ import annotations

from math import ceil, floor, log10
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from .svg import Axis, figure, line, nice_ticks, rectangle, text, tick_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

Floats: TypeAlias = npt.NDArray[np.float64]

WIDTH, HEIGHT = 520.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 14.0, 14.0, 20.0, 40.0
BINS = 40
CROWDED = 26.0  # pixels between two marks below which the later one is not named


def distribution(
    value_N: Floats, title: str, unit: str, marks: Sequence[tuple[str, float]] = (), *, logarithmic: bool = False
) -> Markup:
    """Draw how values are distributed, with named marks across.

    Args:
        value_N: Finite ones. On a logarithmic axis, those of 0 and less are left out and counted in the caption.
        title: Of the figure.
        unit: Words for the axis.
        marks: Names and values.
        logarithmic: Whether the axis counts powers of ten, as for keys that span many of them.
    """
    shown = value_N[value_N > 0] if logarithmic else value_N
    if not len(shown):
        return figure(WIDTH, 30, title, "Nothing to show.", text(LEFT, 20, "nothing to show", "label"))
    places = np.log10(shown) if logarithmic else shown
    low, high = float(places.min()), float(places.max())
    high = high if high > low else low + 1
    counts, edges = np.histogram(places, BINS, (low, high))
    x = Axis(low, high, LEFT, WIDTH - RIGHT)
    y = Axis(0, max(int(counts.max()), 1), HEIGHT - BOTTOM, TOP)
    bars = [
        rectangle(x(a) + 0.5, y(count), x(b) - x(a) - 1, y.start - y(count), "bar")
        for count, a, b in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    base = line(LEFT, y.start, WIDTH - RIGHT, y.start, "axis")
    left_out = len(value_N) - len(shown)
    words = unit + (f"; {left_out} of 0 and less are not shown" if left_out else "")
    named = _marks(
        [(name, log10(value) if logarithmic else value) for name, value in marks if _fits(value, logarithmic)], x
    )
    described = f"{len(value_N):,} values; the largest is {float(value_N.max()):.3g}."
    ticks = _powers(x, y.start) if logarithmic else _ticks(x, y.start)
    return figure(WIDTH, HEIGHT, title, described, *bars, base, *ticks, *named, text(LEFT, HEIGHT - 6, words, "label"))


def _fits(value: float, logarithmic: bool) -> bool:
    return value > 0 or not logarithmic


def _ticks(x: Axis, y: float) -> list[Markup]:
    ticks = nice_ticks(x.low, x.high)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    return [text(x(tick), y + 15, tick_label(tick, step), "label", "middle") for tick in ticks]


def _powers(x: Axis, y: float) -> list[Markup]:
    """Name powers of ten below the axis, eight at most."""
    first, last = ceil(x.low - 1e-9), floor(x.high + 1e-9)
    step = max(1, ceil((last - first + 1) / 8))
    return [text(x(power), y + 15, _power(power), "label", "middle") for power in range(first, last + 1, step)]


def _power(power: int) -> str:
    return f"{10**power:,}" if 0 <= power < 5 else f"1e{power}"


def _marks(marks: Sequence[tuple[str, float]], x: Axis) -> list[Markup]:
    drawn: list[Markup] = []
    before = -CROWDED
    for name, value in sorted(marks, key=lambda mark: mark[1]):
        place = x(value)
        drawn.append(line(place, TOP, place, HEIGHT - BOTTOM, "threshold"))
        if place - before >= CROWDED:
            drawn.append(text(place, TOP - 6, name, "label", "middle"))
            before = place
    return drawn
