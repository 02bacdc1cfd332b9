"""What the page's script needs to follow a threshold: all scores and labels, and the decisions as they were made.

Letters: N images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from callbacks.report.facts import Confusion, confusion

from .score_figure import bin_edges
from .svg import element, line, pixels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from markupsafe import Markup

    from callbacks.measures.atlas import Atlas
    from callbacks.report.view import ReportView
    from callbacks.statistics.curves import FloatArray

    from .sprite import Sprite

_MOST_LINES = 400  # of the rug, beyond which bars count
_RUG = 1000.0, 44.0  # width and height of its drawing, which is stretched to the slider's


def live_data(view: ReportView, sheet: Sprite | None) -> dict[str, Any]:
    """Return scores, labels and kinds in ascending order of scores, the tiles, and the decisions at rest.

    Scores beyond the axis, such as infinite ones, are clipped, which no decision notices.

    Args:
        view: Of the report.
        sheet: Of the atlas.
    """
    table = view.content.predictions.sort_values(["score", "name"], kind="stable", ignore_index=True)
    kinds = sorted({str(kind) for kind in table["kind"].fillna("")} - {""})
    rest = [_rest("", view.threshold, view.counts)]
    if len(kinds) > 1:
        for kind in kinds:
            of_kind = table[table["kind"] == kind]
            rest.append(_rest(kind, view.threshold_of(kind), confusion(of_kind)))
    low, high = view.limits
    return {
        "low": low,
        "high": high,
        "left": 34,
        "right": 10,
        "decimals": view.axis_decimals,
        "score": [compact(value) for value in np.clip(table["score"].to_numpy(np.float64), low, high).tolist()],
        "label": table["label_index"].tolist(),
        "kind": [kinds.index(kind) if kind in kinds else -1 for kind in table["kind"]] if len(kinds) > 1 else None,
        "scopes": rest,
        "tiles": _tiles(view.atlas, sheet, table),
    }


def compact(value: float) -> float:
    """Return a number as short as float32 needs it where float32 holds it: two scores still compare as they did."""
    short = np.float32(value)
    return float(str(short)) if float(short) == value else value


def rug(predictions: pd.DataFrame, limits: tuple[float, float]) -> Markup:
    """Draw scores as fine lines, defective ones above the middle and good ones below; bars where there are many."""
    width, height = _RUG
    low, high = limits
    marks = []
    for label, kind, top in ((1, "defective", 0.0), (0, "good", height / 2 + 1)):
        scores = predictions.loc[predictions["label_index"] == label, "score"].to_numpy(np.float64)
        x_N = width * (np.clip(scores, low, high) - low) / (high - low)
        draw = _lines if len(x_N) <= _MOST_LINES else _bars
        marks.append(element("g", {"class": kind}, *draw(x_N, top, height / 2 - 1)))
    middle = line(0, height / 2, width, height / 2, "axis")
    # Stretched to any width: lines keep theirs, since their strokes do not scale.
    box = {"viewBox": f"0 0 {pixels(width)} {pixels(height)}", "preserveAspectRatio": "none", "aria-hidden": "true"}
    return element("svg", box, *marks, middle)


def _lines(x_N: FloatArray, top: float, height: float) -> Sequence[Markup]:
    return [line(x, top, x, top + height, "score") for x in sorted(x_N.tolist())]


def _bars(x_N: FloatArray, top: float, height: float) -> Sequence[Markup]:
    """Draw a histogram of at most 100 bins, growing from the middle line."""
    edges = bin_edges(0.0, _RUG[0], 100)
    count_N, _ = np.histogram(x_N, edges)
    size_N = height * count_N / max(1, int(count_N.max()))
    upwards = top == 0
    return [
        element(
            "rect",
            {"x": x, "y": top + height - size if upwards else top, "width": step - 1, "height": size, "class": "bar"},
        )
        for x, step, size in zip(edges[:-1].tolist(), np.diff(edges).tolist(), size_N.tolist(), strict=True)
        if size
    ]


def _rest(kind: str, threshold: float, counts: Confusion) -> dict[str, Any]:
    return {
        "kind": kind,
        "threshold": compact(threshold),
        "tp": counts.tp,
        "fp": counts.fp,
        "tn": counts.tn,
        "fn": counts.fn,
    }


def _tiles(atlas: Atlas | None, sheet: Sprite | None, table: pd.DataFrame) -> dict[str, Any] | None:
    """Tell how to cut the sheet, and for each tile the image's row and name."""
    if atlas is None or sheet is None:
        return None
    row_of: Mapping[str, int] = {name: row for row, name in enumerate(table["name"])}
    return {
        "columns": sheet.columns,
        "height": sheet.height,
        "width": sheet.width,
        "row": [row_of[name] for name in atlas.names],
        "name": list(atlas.names),
    }
