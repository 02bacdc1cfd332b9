"""Scores of good and defective images back to back, with the threshold between them.

Defective images grow upwards from a base line and good ones downwards, so the four corners around the threshold are
the confusion matrix: found and missed above, false alarms and passes below. The calibration images stand underneath
on the same axis: that is where the threshold came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from callbacks.report.wording import plural, score, score_decimals

from .svg import Axis, circle, diamond, element, figure, line, nice_step, nice_ticks, rectangle, text, tick_label

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from markupsafe import Markup

    from callbacks.statistics.curves import FloatArray

_LEFT, _RIGHT = 34, 10
_LINE = 20  # height of a line of text
_WORDS = 152  # its usual width
_DIAMETERS = (9.0, 7.0, 5.5, 4.0)  # of a mark, the largest that fits is taken
_MOST_MARKS = 600


@dataclass(frozen=True)
class ScoreSet:
    """Scores of the labelled images of one split.

    Attributes:
        good: (N,) raw scores of good images.
        defective: (M,) raw scores of defective images.
    """

    good: FloatArray
    defective: FloatArray


@dataclass(frozen=True)
class _Half:
    """Images of one class on one side of a base line; ``up`` is -1 upwards, +1 downwards."""

    scores: FloatArray
    kind: str
    up: int

    def drawn(self, axis: Axis, most: float, edges: FloatArray) -> tuple[Callable[[float], Markup], float]:
        """Tell how to draw it from a base line, and the height that takes: marks where they fit, bars otherwise."""
        pixel = np.array(sorted(axis(value) for value in self.scores))
        for diameter in _DIAMETERS if pixel.size <= _MOST_MARKS else ():
            level = stack_level(pixel, diameter)
            if (height := (int(level.max(initial=-1)) + 1) * diameter) <= most:
                y_N = np.asarray(self.up * (level + 0.5) * diameter, dtype=np.float64)
                return partial(self._marks, pixel, y_N, diameter), height
        return partial(self._bars, axis, most, edges), most

    def _marks(self, x_N: FloatArray, y_N: FloatArray, diameter: float, base: float) -> Markup:
        mark = diamond if self.kind == "defective" else circle
        radius = diameter / 2 * (1.12 if self.kind == "defective" else 0.94)
        marks = [mark(float(x), float(base + y), radius, "mark") for x, y in zip(x_N, y_N, strict=True)]
        return element("g", {"class": self.kind}, *marks)

    def _bars(self, axis: Axis, height: float, edges: FloatArray, base: float) -> Markup:
        """Draw a histogram on a scale of its own, since defects are rare; one tick at a round number says which."""
        count, _ = np.histogram(np.clip(self.scores, axis.low, axis.high), edges)
        per_bin = max(1, int(count.max()))
        round_count = nice_ticks(0, per_bin, 2)[-1]
        tick = base + self.up * height * round_count / per_bin
        parts = [
            line(axis.start - 4, tick, axis.start, tick, "axis"),
            text(axis.start - 6, tick + 4, f"{round_count:,.0f}", "tick", "end"),
        ]
        for n, low, high in zip(count, edges[:-1], edges[1:], strict=True):
            x, size = axis(float(low)), float(n) * height / per_bin
            if n:
                parts.append(rectangle(x, min(base, base + self.up * size), axis(float(high)) - x - 0.75, size, "bar"))
        return element("g", {"class": self.kind}, *parts)


def stack_level(x_N: FloatArray, diameter: float) -> npt.NDArray[np.int64]:
    """Tell how high each mark of a dot plot must sit so that none covers another: exact positions, no bins.

    Args:
        x_N: Positions in pixels, ascending.
        diameter: Of a mark, in pixels.

    Returns:
        (N,) levels from 0: each mark takes the lowest level that is free there.
    """
    ends: list[float] = []
    levels = np.zeros(x_N.size, dtype=np.int64)
    for index, x in enumerate(x_N):
        level = next((number for number, end in enumerate(ends) if end <= x), len(ends))
        ends[level : level + 1] = [x + diameter]
        levels[index] = level
    return levels


def score_figure(
    test: ScoreSet, calibration: ScoreSet, threshold: float, limits: tuple[float, float], width: float
) -> Markup:
    """Draw the score figure.

    Args:
        test: Scores that the verdict rests on.
        calibration: Scores that the threshold rests on.
        threshold: Raw score units; images at or above it are called defective.
        limits: Lowest and highest score on the axis.
        width: Of the drawing, in pixels at full size.
    """
    axis = Axis(*limits, _LEFT, width - _RIGHT)
    wide = width > 400
    lines = 1 if wide else 2  # where there is no room beside each other, words stand below each other
    most = 96.0 if wide else 78.0
    top = _LINE + 4.0
    marks, words, end = _panel("Test", test, threshold, axis, (top, most, lines))
    more_marks, more_words, bottom = _panel("Calibration", calibration, threshold, axis, (end + 22, 0.6 * most, lines))
    x = axis(threshold)
    tint = rectangle(x, top, axis.end - x, bottom - top, "called")
    rule = line(x, top - 2, x, bottom, "threshold")
    name = text(x, top - 8, f"threshold {score(threshold, score_decimals(*limits))}", "strong", _anchor(x, width))
    described = (
        f"Test: {len(test.good)} good and {len(test.defective)} defective pictures. Calibration: "
        f"{len(calibration.good)} good and {len(calibration.defective)} defective. The threshold is {threshold:.6g}."
    )
    body = [tint, *marks, *more_marks, rule, name, *words, *more_words, *_score_axis(axis, bottom, width)]
    return figure(width, bottom + 46, "Scores of good and defective pictures", described, *body)


def _panel(
    name: str, scores: ScoreSet, threshold: float, axis: Axis, room: tuple[float, float, int]
) -> tuple[list[Markup], list[Markup], float]:
    """Both classes of one split around a base line.

    Args:
        name: Of the split.
        scores: To draw.
        threshold: Raw score units.
        axis: From scores to pixels.
        room: Where the panel begins, the most height of each class, and lines of words above and below.

    Returns:
        Marks, words (to be written over everything else), and where the panel ends.
    """
    top, most, lines = room
    edges = bin_edges(axis.low, axis.high, 48)
    halves = _Half(scores.defective, "defective", -1), _Half(scores.good, "good", 1)
    (above, up), (below, down) = (half.drawn(axis, most, edges) for half in halves)
    base = top + lines * _LINE + up + 3
    below_marks = base + down + 3
    found, alarms = int((scores.defective >= threshold).sum()), int((scores.good >= threshold).sum())
    missed, passed = len(scores.defective) - found, len(scores.good) - alarms
    x = axis(threshold)
    judged_good = f"{passed:,} passed, {plural(alarms, 'false alarm')}"
    words = [
        *_words(x, axis, (top, lines), name, halves[0], f"{missed:,} missed, {found:,} found"),
        *_words(x, axis, (below_marks, lines), name, halves[1], judged_good),
    ]
    marks = [line(axis.start, base, axis.end, base, "axis"), above(base), below(base)]
    return marks, words, below_marks + lines * _LINE


def _words(x: float, axis: Axis, room: tuple[float, int], name: str, half: _Half, judged: str) -> list[Markup]:
    """Tell how many images there are and how they were judged, on one line or on two, clear of the threshold at x."""
    y, lines = room
    left = axis.start if x > axis.start + _WORDS else x + 8
    words = [text(left, y + 14, f"{name}: {half.scores.size:,} {half.kind}", f"label on {half.kind}")]
    if half.scores.size and lines == 1:
        right = axis.end if x < axis.end - _WORDS - 30 else x - 8
        words.append(text(right, y + 14, judged, "label on", "end"))
    elif half.scores.size:
        words.append(text(left, y + 32, judged, "label on"))
    return words


def bin_edges(low: float, high: float, count: int) -> FloatArray:
    """Return edges of at most ``count`` plus two bins of a round width that cover low to high."""
    step = nice_step(high - low, count)
    return step * np.arange(np.floor(low / step), np.ceil(high / step) + 1)


def _score_axis(axis: Axis, y: float, width: float) -> Sequence[Markup]:
    ticks = nice_ticks(axis.low, axis.high, 10 if width > 800 else 5)
    step = nice_step(axis.high - axis.low, 10 if width > 800 else 5)
    marks = [line(axis(tick), y, axis(tick), y + 4, "axis") for tick in ticks]
    names = [text(axis(tick), y + 18, tick_label(tick, step), "tick", "middle") for tick in ticks]
    title = text(axis.end, y + 38, "anomaly score (raw, higher is worse)", "label", "end")
    return [line(axis.start, y, axis.end, y, "axis"), *marks, *names, title]


def _anchor(x: float, width: float) -> str:
    """Keep a line's name inside the drawing."""
    return "start" if x < 80 else "end" if x > width - 80 else "middle"
