"""Defects as objects: how large they have to be to be found, and where on the images they fall.

Letters: D marked defects, H and W pixels.
"""

from __future__ import annotations

from itertools import pairwise
from math import log10
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from callbacks.report.overlays import colour_map, data_uri
from callbacks.report.wording import percent
from callbacks.statistics.bootstrap import wilson

from .svg import Axis, circle, element, figure, line, nice_ticks, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from markupsafe import Markup

    from callbacks.statistics.curves import FloatArray

_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 10, 24, 66
_MOST_BINS, _MINIMUM = 6, 8  # bins of sizes, and defects in each
_MOST_MARKS = 1500
_EDGE = 480  # of the heat map, in pixels
_LABEL = (56.0, 13.0)  # width and height that a count takes, in pixels


class SizeBin(NamedTuple):
    """Marked defects of like size: the smallest and the largest side, how many there are, and how many were found."""

    low: float
    high: float
    total: int
    found: int


class HeatMap(NamedTuple):
    """A heat map as an image, and how many images its brightest place stands for."""

    source: str
    height: int
    width: int
    most: int


def size_bins(side_D: FloatArray, found_D: npt.NDArray[np.bool_]) -> list[SizeBin]:
    """Cut defects into at most six parts of like number, in ascending order of size; equal sizes stay together."""
    order = np.argsort(side_D, kind="stable")
    side, found = side_D[order], found_D[order]
    count = max(1, min(_MOST_BINS, side.size // _MINIMUM))
    cuts = [int(np.searchsorted(side, side[round(i * side.size / count)])) for i in range(1, count)]
    edges = sorted({0, *cuts, side.size})
    return [SizeBin(float(side[a]), float(side[b - 1]), b - a, int(found[a:b].sum())) for a, b in pairwise(edges)]


def size_recall_figure(marked: pd.DataFrame, confidence: float, width: float) -> Markup:
    """Recall of marked defects over their size, with Wilson intervals, and every defect as a mark below.

    Args:
        marked: ``side`` (of a square of the defect's area, in pixels of the image on disk, above 0) and ``found``.
        confidence: Of the intervals.
        width: Of the drawing, in pixels.
    """
    height = 330.0
    side_D, found_D = marked["side"].to_numpy(np.float64), marked["found"].to_numpy(bool)
    low, high = float(side_D.min()), float(side_D.max())
    x = Axis(log10(low) - 0.05, log10(high) + 0.05, _LEFT, width - _RIGHT)
    y = Axis(0, 1, height - _BOTTOM, _TOP)
    parts = [text(0, 12, "recall", "label")]
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        parts.append(line(x.start, y(tick), x.end, y(tick), "axis" if tick == 0 else "grid"))
        parts.append(text(x.start - 7, y(tick) + 4, f"{tick:.1f}", "tick", "end"))
    for tick in size_ticks(low, high):
        parts += [
            line(x(log10(tick)), height - 32, x(log10(tick)), height - 28, "axis"),
            text(x(log10(tick)), height - 15, f"{tick:g}", "tick", "middle"),
        ]
    parts.append(text(x.end, height - 1, "side of a square of the defect's area, pixels", "label", "end"))
    parts += _rug(x, side_D, found_D, y.start + 6)
    labels: list[tuple[float, float]] = []
    for one in size_bins(side_D, found_D):
        share = one.found / one.total
        ends = wilson(share, one.total, confidence)
        left, right = x(log10(one.low)), x(log10(one.high))
        centre = (left + right) / 2
        parts += [
            line(left, y(share), right, y(share), "span-line"),
            line(centre, y(ends[0]), centre, y(ends[1]), "range model"),
            circle(centre, y(share), 4.5, "value model"),
        ]
        labels.append(free_place(centre, y(ends[1]) - 6, labels))
        parts.append(text(*labels[-1], f"{one.found} of {one.total}", "tick on", "middle"))
    described = f"{int(found_D.sum())} of {found_D.size} marked defects found, {percent(float(found_D.mean()))}."
    return figure(width, height, "Recall over the size of defects", described, *parts)


def free_place(x: float, y: float, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Move a label up until it covers none of those that have their places already."""
    while any(abs(x - other_x) < _LABEL[0] and abs(y - other_y) < _LABEL[1] for other_x, other_y in taken):
        y -= 1
    return x, y


def size_ticks(low: float, high: float) -> list[float]:
    """Round sizes on a logarithmic axis: 1, 2 and 5 times powers of ten, or even steps where the range is narrow."""
    decades = range(int(np.floor(log10(low))), int(np.ceil(log10(high))) + 1)
    ticks = [factor * 10.0**power for power in decades for factor in (1, 2, 5)]
    inside = [tick for tick in ticks if low <= tick <= high]
    return inside if len(inside) >= 2 else nice_ticks(low, high, 4) if high > low else [low]


def heat_map_image(heat_HW: npt.NDArray[np.int64]) -> HeatMap | None:
    """Return colours from black (never) to pale yellow (most often); None where nothing was found anywhere."""
    most = int(heat_HW.max(initial=0))
    if most == 0:
        return None
    height, width = heat_HW.shape
    return HeatMap(data_uri(colour_map(heat_HW.astype(np.float32), 0, most), _EDGE), height, width, most)


def _rug(x: Axis, side_D: FloatArray, found_D: npt.NDArray[np.bool_], top: float) -> list[Markup]:
    """Found defects as lines above missed ones; of very many, an even draw."""
    groups = []
    for name, rows, at in (("found", found_D, top), ("missed", ~found_D, top + 13)):
        sides = np.sort(side_D[rows])
        drawn = sides[np.unique(np.linspace(0, sides.size - 1, _MOST_MARKS).astype(int))] if sides.size else sides
        marks = [line(x(log10(side)), at, x(log10(side)), at + 11, "score") for side in drawn.tolist()]
        groups.append(element("g", {"class": f"rug {name}"}, *marks))
    return groups
