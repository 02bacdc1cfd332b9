"""The figures of a sorted array: its map, the sizes of its classes, its scores, and its cells laid out in the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from callbacks.report.wording import plural

from .scatter import fitted, score_levels
from .svg import Axis, circle, element, figure, line, nice_ticks, rectangle, text, tick_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

Floats: TypeAlias = npt.NDArray[np.float64]

MAP_WIDTH, GAP = 520.0, 1.0
PLOT_WIDTH, PLOT_HEIGHT = 520.0, 400.0
CHART_WIDTH, CHART_HEIGHT = 520.0, 190.0
BINS = 40
LEFT, RIGHT, TOP, BOTTOM = 34.0, 14.0, 18.0, 34.0


def array_map(rows: Sequence[int], columns: Sequence[int], names: Sequence[str], shape: tuple[int, int]) -> Markup:
    """Draw the map of an array: one square per cell, by row and column, in the colour of its class.

    Args:
        rows: Row of every cell, from zero.
        columns: Column likewise.
        names: Class of every cell, in lower case.
        shape: Rows and columns of the array.
    """
    side = MAP_WIDTH / max(shape[1], 1)
    squares = [
        element(
            "rect",
            {
                "x": column * side + GAP / 2,
                "y": row * side + GAP / 2,
                "width": side - GAP,
                "height": side - GAP,
                "class": f"cell {name}",
                "data-cell": str(index),
            },
        )
        for index, (row, column, name) in enumerate(zip(rows, columns, names, strict=True))
    ]
    described = f"{plural(len(names), 'cell')} in {shape[0]} rows and {shape[1]} columns, coloured by class."
    return figure(MAP_WIDTH, side * shape[0], "Map of the array", described, *squares)


def plane_figure(place_N2: Floats, names: Sequence[str], score_N: Floats, title: str, *, by_score: bool) -> Markup:
    """Draw cells laid out in the plane, coloured by class or by score; the rarer classes on top."""
    place_N2, level_N = fitted(place_N2), score_levels(score_N)
    order = sorted(range(len(names)), key=lambda index: (names[index] != "good", score_N[index]))
    marks = [
        element(
            "g",
            {"data-cell": str(index)},
            circle(
                float(place_N2[index][0]),
                float(place_N2[index][1]),
                4,
                f"point s{int(level_N[index])}" if by_score else f"cell {names[index]}",
            ),
        )
        for index in order
    ]
    described = f"{plural(len(names), 'cell')} laid out by {title}, coloured by {'score' if by_score else 'class'}."
    return figure(PLOT_WIDTH, PLOT_HEIGHT, title, described, *marks)


def class_bars(counts: Mapping[str, int]) -> Markup:
    """Draw how many cells each class has."""
    most = max([*counts.values(), 1])
    pitch = (CHART_HEIGHT - TOP) / max(len(counts), 1)
    x = Axis(0, most, 92.0, CHART_WIDTH - 56)
    body = []
    for index, (name, count) in enumerate(counts.items()):
        y = TOP + index * pitch
        body += [
            text(84, y + pitch * 0.62, name, "label", "end"),
            rectangle(x.start, y + 0.15 * pitch, x(count) - x.start, 0.7 * pitch, f"cell {name.lower()}"),
            text(x(count) + 6, y + pitch * 0.62, f"{count:,}", "label"),
        ]
    return figure(CHART_WIDTH, CHART_HEIGHT, "Sizes of classes", "Number of cells in every class.", *body)


def histogram(value_N: Floats, title: str, mark: float, mark_name: str) -> Markup:
    """Draw the distribution of a value over all cells, with one line across it."""
    low, high = float(value_N.min()), float(value_N.max())
    high = high if high > low else low + 1
    counts, edges = np.histogram(value_N, BINS, (low, high))
    x = Axis(low, high, LEFT, CHART_WIDTH - RIGHT)
    y = Axis(0, max(int(counts.max()), 1), CHART_HEIGHT - BOTTOM, TOP)
    bars = [
        rectangle(x(a) + 0.5, y(count), x(b) - x(a) - 1, y.start - y(count), "bar")
        for count, a, b in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    ticks = nice_ticks(low, high)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    labels = [text(x(tick), y.start + 16, tick_label(tick, step), "label", "middle") for tick in ticks]
    anchor = "end" if x(mark) > CHART_WIDTH * 0.7 else "start"
    shift = -6 if anchor == "end" else 6
    rule = [
        line(x(mark), TOP, x(mark), y.start, "threshold"),
        text(x(mark) + shift, TOP + 8, mark_name, "strong", anchor),
    ]
    base = line(LEFT, y.start, CHART_WIDTH - RIGHT, y.start, "axis")
    described = f"{plural(len(value_N), 'cell')}; {mark_name} at {mark:.3g}."
    return figure(CHART_WIDTH, CHART_HEIGHT, title, described, *bars, base, *labels, *rule)
