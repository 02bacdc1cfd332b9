"""The figures of the report, from its content; those that would say nothing are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from callbacks.measures.learning import LOSS, objective_name, series

from .charts.curves import colour_scale, precision_recall_figure, roc_figure, threshold_figure
from .charts.defect_figures import heat_map_image, size_recall_figure
from .charts.learning_figure import learning_figure
from .charts.live import live_data, rug
from .charts.scatter import LEVELS, map_figures
from .charts.score_figure import score_figure
from .charts.sprite import sprite
from .overlays import MARKED_COLOUR, PREDICTED_COLOUR, colour_map
from .page import HERO_WIDTHS, WIDTHS, drawn
from .wording import defined, plural, score, share

if TYPE_CHECKING:
    import pandas as pd

    from .content import ReportContent
    from .facts import Confusion
    from .view import ReportView


def figures_of(view: ReportView) -> dict[str, Any]:
    """Return all figures, each in the widths that the page may need, and what its script needs to make them live."""
    content, limits = view.content, view.limits
    sheet = None if view.atlas is None else sprite(view.atlas.thumbnail_AhwC)
    maps = map_figures(view)
    return {
        "score_figures": drawn(
            HERO_WIDTHS, lambda w: score_figure(view.test, view.calibration, view.threshold, limits, w)
        ),
        **_curves(view),
        "scale": colour_scale(_colours(64), content.map_range, view.pixel_threshold, 340.0),
        "marked_colour": f"rgb{MARKED_COLOUR}",
        "predicted_colour": f"rgb{PREDICTED_COLOUR}",
        **_defects(view),
        "learning_figures": _learning(content),
        "rug": rug(content.predictions, limits),
        "rest_position": (np.clip(view.threshold, *limits) - limits[0]) / (limits[1] - limits[0]),
        "threshold": view.written_threshold,
        "maps": maps,
        "level_colours": _colours(LEVELS + 1)[1:],  # without black, which would pass for ink
        "sprite": sheet,
        "live": live_data(view, sheet) | {"places": [one.places for one in maps]},
    }


def _curves(view: ReportView) -> dict[str, Any]:
    """Draw thresholds, precision over recall and the ROC; empty where there are no defective images."""
    threshold, table, counts, limits = view.threshold, view.threshold_table, view.counts, view.limits
    precision, recall, fpr = defined(counts.precision), defined(counts.recall) or 0.0, counts.fpr or 0.0
    at = [np.nan if precision is None else precision, recall, counts.f1 or 0.0]
    point = None if precision is None else (recall, precision)
    empty: list[tuple[str, Any]] = []
    there = counts.defective > 0 and len(table) > 0
    return {
        "threshold_figures": drawn(HERO_WIDTHS, lambda w: threshold_figure(table, threshold, at, limits, w))
        if there
        else empty,
        "pr_figures": drawn(WIDTHS, lambda w: precision_recall_figure(table, point, w)) if there else empty,
        "roc_figures": drawn(WIDTHS, lambda w: roc_figure(table, (fpr, recall), w)) if there and counts.good else empty,
        "at_threshold": _at_threshold(counts, view.written_threshold),
        "best_f1": _best(table, view.axis_decimals) if there else None,
    }


def _defects(view: ReportView) -> dict[str, Any]:
    """Recall over size where defects are marked, and where they fall."""
    found, confidence = view.defects, view.content.confidence
    sizes: list[tuple[str, Any]] = []
    if found is not None and not found.marked.empty:
        sizes = drawn(WIDTHS, lambda width: size_recall_figure(found.marked, confidence, width))
    heat_map = None if found is None else found.heat_map
    return {"size_figures": sizes, "heat_map": None if heat_map is None else heat_map_image(heat_map)}


def _learning(content: ReportContent) -> list[tuple[str, Any]]:
    """Return loss and objective by epoch; empty where there are fewer than two epochs."""
    training = content.metrics.get("training") or {}
    loss, objective = (series(content.history, name) for name in (LOSS, training.get("monitor", "")))
    if not training or max(len(loss), len(objective)) < 2:
        return []
    epoch, name = training["kept_epoch"], objective_name(training["monitor"])
    return drawn(HERO_WIDTHS, lambda width: learning_figure(loss, objective, epoch, name, width))


def _at_threshold(counts: Confusion, threshold: str) -> str:
    rates = f"precision {share(counts.precision)}, recall {share(counts.recall)}, F1 {share(counts.f1)}"
    return (
        f"At the threshold {threshold}: {rates}. {counts.tp:,} found, {counts.fn:,} missed, "
        f"{plural(counts.fp, 'false alarm')}, {counts.tn:,} passed."
    )


def _best(table: pd.DataFrame, decimals: int) -> str:
    row = table.iloc[int(table["f1"].to_numpy().argmax())]
    return f"{share(row['f1'])} at {score(row['threshold'], decimals)}"


def _colours(count: int) -> list[str]:
    ramp = colour_map(np.linspace(0, 1, count, dtype=np.float32)[None], 0, 1)[0]
    return [f"rgb({red},{green},{blue})" for red, green, blue in ramp.tolist()]
