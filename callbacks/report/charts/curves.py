"""Curves and bars of the report: every threshold, precision-recall, ROC, intervals and the colour scale.

Shape letters: T rows of the table of thresholds, in ascending order of their thresholds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from callbacks.report.wording import score, score_decimals, share

from .svg import (
    Axis,
    circle,
    element,
    figure,
    line,
    nice_step,
    nice_ticks,
    polyline,
    rectangle,
    text,
    tick_label,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd
    from markupsafe import Markup

    from callbacks.statistics.curves import FloatArray

Point = tuple[float, float]
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 10, 24, 46
_MOST_ROWS = 1500  # of a table that are drawn one by one; beyond that, several share each pixel


class Interval(NamedTuple):
    """A value in [0, 1] and the ends of its confidence interval."""

    value: float
    low: float
    high: float


def step_corners(threshold_T: FloatArray, value_T: FloatArray, low: float, high: float) -> list[Point]:
    """Return corners of what ``score >= threshold`` gives at every threshold from low to high, not only at the scores.

    Above one score and up to the next, decisions do not change: the value of a row holds back to the row before. The
    curve ends at the highest score, beyond which nothing is called defective; ``high`` only cuts it.
    """
    corners: list[Point] = []
    begin = low
    for threshold, value in zip(threshold_T.tolist(), value_T.tolist(), strict=True):
        corners += [(begin, value), (min(threshold, high), value)]
        begin = threshold
    return corners


def rows_to_draw(x_T: FloatArray, value_T: FloatArray) -> npt.NDArray[np.int64]:
    """Return rows that must be drawn so that a long table looks like itself, to the pixel.

    Args:
        x_T: Pixel of each row, ascending.
        value_T: The curve.

    Returns:
        Ascending row numbers: of each pixel the first, the last, the lowest and the highest row.
    """
    if x_T.size <= _MOST_ROWS:
        return np.arange(x_T.size)
    column = np.floor(x_T).astype(np.int64)
    starts = np.flatnonzero(np.diff(column, prepend=column[0] - 1))
    ends = np.append(starts[1:], x_T.size)
    keep = {*starts.tolist(), *(ends - 1).tolist()}
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        keep |= {start + int(np.argmin(value_T[start:end])), start + int(np.argmax(value_T[start:end]))}
    return np.array(sorted(keep), dtype=np.int64)


def threshold_figure(table: pd.DataFrame, threshold: float, at: Sequence[float], limits: Point, width: float) -> Markup:
    """Precision, recall and F1 over every threshold.

    Args:
        table: As in sweep.csv, with at least one defective image.
        threshold: The calibrated one, raw score units.
        at: Precision (NaN where nothing is called), recall and F1 at that threshold.
        limits: Lowest and highest score on the axis.
        width: Of the drawing, in pixels at full size.
    """
    height = 300.0
    x, y = Axis(*limits, _LEFT, width - _RIGHT), Axis(0, 1, height - _BOTTOM, _TOP)
    row_T = table["threshold"].to_numpy(dtype=np.float64)
    curves = [table[name].to_numpy(dtype=np.float64) for name in ("precision", "recall", "f1")]
    pixel_T = np.array([x(value) for value in row_T])
    drawn = []
    for name, curve in zip(("precision", "recall", "f1"), curves, strict=True):
        keep = rows_to_draw(pixel_T, curve)
        corners = step_corners(row_T[keep], curve[keep], *limits)
        if name != "precision":  # with nothing called defective, precision is 0/0, the others are 0
            corners += [(corners[-1][0], 0.0), (limits[1], 0.0)]
        drawn.append(polyline([(x(a), y(b)) for a, b in corners], f"curve {name}"))
    best = int(np.argmax(curves[2]))
    rule = line(x(threshold), _TOP - 4, x(threshold), y.start, "threshold")
    name = text(
        x(threshold), _TOP - 10, score(threshold, score_decimals(*limits)), "strong", _anchor(x(threshold), width)
    )
    dots = [circle(x(threshold), y(value), 3.5, "dot") for value in at if value == value]  # noqa: PLR0124 - NaN
    ring = circle(x(float(row_T[best])), y(float(curves[2][best])), 5, "ring")
    hover = line(0, _TOP, 0, y.start, "hover")
    described = f"At the threshold {threshold:.6g}: precision {share(at[0])}, recall {share(at[1])}, F1 {share(at[2])}."
    body = [*unit_grid(x, y, "threshold (anomaly score)", width), rule, *drawn, ring, *dots, name, hover]
    return figure(width, height, "Precision, recall and F1 over the threshold", described, *body)


def precision_recall_figure(table: pd.DataFrame, at: Point | None, width: float) -> Markup:
    """Precision over recall in steps, so that the area under the line is the average precision.

    Args:
        table: As in sweep.csv, with at least one defective image.
        at: Recall and precision at the calibrated threshold; None where nothing is called defective.
        width: Of the drawing, in pixels at full size.
    """
    recall = np.append(table["recall"].to_numpy(dtype=np.float64), 0.0)[::-1]
    precision = table["precision"].to_numpy(dtype=np.float64)[::-1]
    corners = [p for i, value in enumerate(precision) for p in ((recall[i], value), (recall[i + 1], value))]
    prevalence = float(precision[-1])
    chance = [(0.0, prevalence), (1.0, prevalence)]
    names = ("recall", "precision")
    return _unit_figure(corners, chance, at, names, width, "Precision over recall")


def roc_figure(table: pd.DataFrame, at: Point, width: float) -> Markup:
    """True-positive rate over false-positive rate; the area under the line is the AUROC.

    Args:
        table: As in sweep.csv, with good and defective images.
        at: False-positive rate and recall at the calibrated threshold.
        width: Of the drawing, in pixels at full size.
    """
    fp, tp = (table[name].to_numpy(dtype=np.float64)[::-1] for name in ("fp", "tp"))
    corners = [(0.0, 0.0), *zip((fp / fp[-1]).tolist(), (tp / tp[-1]).tolist(), strict=True)]
    chance = [(0.0, 0.0), (1.0, 1.0)]
    names = ("false-positive rate", "recall")
    return _unit_figure(corners, chance, at, names, width, "Recall over false-positive rate (ROC)")


def _unit_figure(
    corners: Sequence[Point],
    chance: Sequence[Point],
    at: Point | None,
    names: tuple[str, str],
    width: float,
    title: str,
) -> Markup:
    """Draw a curve in the unit square, what guessing would give, and the point of the calibrated threshold."""
    height = min(width, 330.0)
    x, y = Axis(0, 1, _LEFT, width - _RIGHT), Axis(0, 1, height - _BOTTOM, _TOP)
    pixel_T = [(x(float(a)), y(float(b))) for a, b in corners]
    keep = pixels_to_draw(pixel_T)
    parts = [
        *unit_grid(x, y, names[0], width),
        text(0, 12, names[1], "label"),
        polyline([(x(a), y(b)) for a, b in chance], "chance"),
        polyline([pixel_T[index] for index in keep], "curve f1"),
    ]
    described = "No point for the threshold: nothing is called defective."
    if at is not None:
        parts.append(circle(x(at[0]), y(at[1]), 4.5, "dot"))
        described = f"At the threshold: {names[0]} {share(at[0])}, {names[1]} {share(at[1])}."
    return figure(width, height, title, described, *parts)


def pixels_to_draw(pixel_T: Sequence[Point]) -> list[int]:
    """Return points of a line without those that repeat the one before or lie between neighbours on a straight way."""
    keep: list[int] = []
    for index, (x, y) in enumerate(pixel_T):
        if keep and abs(x - pixel_T[keep[-1]][0]) < 0.25 and abs(y - pixel_T[keep[-1]][1]) < 0.25:
            continue
        if len(keep) > 1:
            (x0, y0), (x1, y1) = pixel_T[keep[-2]], pixel_T[keep[-1]]
            onward = (x1 - x0) * (x - x1) >= 0 and (y1 - y0) * (y - y1) >= 0  # a turning point is not on the way
            if onward and (x0 == x1 == x or y0 == y1 == y):
                keep.pop()
        keep.append(index)
    return keep if not keep or keep[-1] == len(pixel_T) - 1 else [*keep, len(pixel_T) - 1]


def interval_bar(model: Interval, baseline: Interval | None, name: str) -> Markup:
    """Draw a value and its interval between 0 and 1, with the baseline's underneath."""
    width, height = 150.0, 40.0 if baseline else 28.0
    x = Axis(0, 1, 5, width - 5)
    bottom = height - 12
    parts = [line(x(tick), 2, x(tick), bottom, "grid") for tick in (0, 0.25, 0.5, 0.75, 1)]
    for tick, anchor in ((0, "start"), (0.5, "middle"), (1, "end")):
        at = x(tick) + {"start": -5, "middle": 0, "end": 5}[anchor]
        parts.append(text(at, height - 1, f"{tick:g}", "tick", anchor))
    for interval, centre, kind in ((model, 8.0, "model"), (baseline, 20.0, "baseline")):
        if interval is not None:
            parts += [
                line(x(interval.low), centre, x(interval.high), centre, f"range {kind}"),
                circle(x(interval.value), centre, 4, f"value {kind}"),
            ]
    described = f"{share(model.value)}, interval {share(model.low)} to {share(model.high)}."
    if baseline is not None:
        described += f" Baseline {share(baseline.value)}."
    return figure(width, height, name, described, *parts)


def colour_scale(colours: Sequence[str], limits: Point, threshold: float | None, width: float) -> Markup:
    """Draw the colours of the maps with their values, and the pixel threshold where there is one.

    Args:
        colours: From the lowest to the highest value, as ``rgb(...)``.
        limits: Values of the first and the last colour.
        threshold: Pixels at or above it are called defective; None without one.
        width: Of the drawing, in pixels at full size.
    """
    low, high = limits if limits[1] > limits[0] else (limits[0], limits[0] + 1)
    x = Axis(low, high, 14, width - 14)
    size = (x.end - x.start) / len(colours)
    cells = [rectangle(x.start + i * size, 18, size + 0.6, 12, "cell") for i in range(len(colours))]
    painted = [element("g", {"fill": colour}, cell) for colour, cell in zip(colours, cells, strict=True)]
    step = nice_step(high - low, 4)
    ticks = [text(x(t), 45, tick_label(t, step), "tick", "middle") for t in nice_ticks(low, high, 4)]
    marks = [line(x(t), 30, x(t), 34, "axis") for t in nice_ticks(low, high, 4)]
    if threshold is not None:
        name = f"pixel threshold {score(threshold, score_decimals(low, high))}"
        outside = ", below the scale" if threshold < low else ", above the scale" if threshold > high else ""
        marks.append(text(x(threshold), 11, name + outside, "tick", _anchor(x(threshold), width)))
        marks += [] if outside else [line(x(threshold), 14, x(threshold), 32, "threshold")]
    return figure(width, 50, "Colour scale of the maps", f"From {low:.6g} to {high:.6g}.", *painted, *marks, *ticks)


def unit_grid(x: Axis, y: Axis, name: str, width: float) -> list[Markup]:
    """Grid lines, tick labels and the name of the horizontal axis; the vertical one runs from 0 to 1."""
    count = 8 if width > 450 else 5
    step = nice_step(x.high - x.low, count)
    parts = []
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        parts.append(line(x.start, y(tick), x.end, y(tick), "axis" if tick == 0 else "grid"))
        parts.append(text(x.start - 7, y(tick) + 4, f"{tick:.1f}", "tick", "end"))
    for tick in nice_ticks(x.low, x.high, count):
        parts.append(line(x(tick), y.start, x(tick), y.start + 4, "axis"))
        parts.append(text(x(tick), y.start + 18, tick_label(tick, step), "tick", "middle"))
    parts.append(text(x.end, y.start + 38, name, "label", "end"))
    return parts


def _anchor(x: float, width: float) -> str:
    """Keep a line's name inside the drawing."""
    return "start" if x < 80 else "end" if x > width - 80 else "middle"
