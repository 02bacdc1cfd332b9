"""Figures of a comparison: several curves in one square, and differences with their intervals around zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .curves import Point, pixels_to_draw, unit_grid
from .svg import Axis, circle, element, figure, line, polyline, text, tick_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from markupsafe import Markup

    from callbacks.statistics.bootstrap import Estimate

_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 10, 24, 46


def roc_curves(tables: Sequence[pd.DataFrame], at: Sequence[Point], width: float) -> Markup:
    """Recall over false-positive rate of several runs; a dot where each run's own verdicts lie.

    Args:
        tables: As `callbacks.statistics.threshold_table.precision_recall_f1` gives them, with both classes.
        at: False-positive rate and recall of the verdicts.
        width: Of the drawing, in pixels.
    """
    curves = []
    for table in tables:
        fp, tp = (table[name].to_numpy(dtype=np.float64)[::-1] for name in ("fp", "tp"))
        curves.append([(0.0, 0.0), *zip((fp / fp[-1]).tolist(), (tp / tp[-1]).tolist(), strict=True)])
    chance = [(0.0, 0.0), (1.0, 1.0)]
    return _square(curves, chance, at, ("false-positive rate", "recall"), width, "ROC of every run")


def precision_recall_curves(tables: Sequence[pd.DataFrame], at: Sequence[Point], width: float) -> Markup:
    """Precision over recall of several runs, in steps; arguments as in `roc_curves`, with recall and precision."""
    curves = []
    for table in tables:
        recall = np.append(table["recall"].to_numpy(dtype=np.float64), 0.0)[::-1]
        precision = table["precision"].to_numpy(dtype=np.float64)[::-1]
        curves.append([p for i, value in enumerate(precision) for p in ((recall[i], value), (recall[i + 1], value))])
    prevalence = float(tables[0]["precision"].iloc[0])
    chance = [(0.0, prevalence), (1.0, prevalence)]
    return _square(curves, chance, at, ("recall", "precision"), width, "Precision over recall of every run")


def difference_bar(estimate: Estimate, limit: float, name: str) -> Markup:
    """Draw a difference and its interval on an axis from ``-limit`` to ``limit``, zero in the middle."""
    width, height = 200.0, 26.0
    x = Axis(-limit, limit, 6, width - 6)
    side = "first" if estimate.low > 0 else "second" if estimate.high < 0 else "open"
    marks = [
        line(x(0), 0, x(0), 16, "axis"),
        line(x(estimate.low), 8, x(estimate.high), 8, f"range {side}"),
        circle(x(estimate.value), 8, 4, f"value {side}"),
        text(x(-limit), 25, tick_label(-limit, limit), "tick", "start"),
        text(x(0), 25, "0", "tick", "middle"),
        text(x(limit), 25, tick_label(limit, limit), "tick", "end"),
    ]
    described = f"{estimate.value:+.3f}, interval {estimate.low:+.3f} to {estimate.high:+.3f}."
    return figure(width, height, name, described, *marks)


def _square(
    curves: Sequence[Sequence[Point]],
    chance: Sequence[Point],
    at: Sequence[Point],
    names: tuple[str, str],
    width: float,
    title: str,
) -> Markup:
    height = min(width, 360.0)
    x, y = Axis(0, 1, _LEFT, width - _RIGHT), Axis(0, 1, height - _BOTTOM, _TOP)
    parts = [*unit_grid(x, y, names[0], width), text(0, 12, names[1], "label")]
    parts.append(polyline([(x(a), y(b)) for a, b in chance], "chance"))
    for number, curve in enumerate(curves):
        pixels = [(x(float(a)), y(float(b))) for a, b in curve]
        parts.append(
            element("g", {"class": f"run{number}"}, polyline([pixels[i] for i in pixels_to_draw(pixels)], "curve"))
        )
    for number, (a, b) in enumerate(at):
        parts.append(element("g", {"class": f"run{number}"}, circle(x(a), y(b), 4.5, "spot")))
    return figure(width, height, title, f"{len(curves)} curves.", *parts)
