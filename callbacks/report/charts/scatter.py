"""Maps of the test images: one mark for each, coloured by its label or by its score.

Letters: N images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from datamodules.table import DEFECTIVE, GOOD

from .svg import circle, diamond, element, figure, rectangle

if TYPE_CHECKING:
    from markupsafe import Markup

    from callbacks.report.view import ReportView
    from callbacks.statistics.curves import FloatArray

WIDTH, HEIGHT = 520.0, 400.0
LEVELS = 8
"""Colours of scores: each level holds as many images, so that a few extreme scores do not grey out the rest."""
_MARGIN = 12.0


@dataclass(frozen=True)
class MapFigure:
    """A drawn map.

    Attributes:
        name: Of the method.
        note: What near and far mean.
        drawing: The figure.
        places: Pixel of every image of the atlas, in its order.
    """

    name: str
    note: str
    drawing: Markup
    places: list[list[float]]


def map_figures(view: ReportView) -> list[MapFigure]:
    """Draw every map of the atlas; none where there is no atlas."""
    content, atlas = view.content, view.atlas
    if atlas is None or not content.maps:
        return []
    rows = content.predictions.set_index("name").loc[list(atlas.names)]
    label_N, score_N = rows["label_index"].tolist(), rows["score"].to_numpy(np.float64)
    level_N = score_levels(score_N)
    figures = []
    for one in content.maps:
        place_N2 = fitted(one.place_N2)
        order = np.argsort([label == DEFECTIVE for label in label_N], kind="stable")  # the rarer class on top
        marks = [_mark(place_N2[index], label_N[index], int(level_N[index])) for index in order]
        described = f"{len(label_N)} test pictures laid out by {one.name}."
        drawing = figure(WIDTH, HEIGHT, one.name, described, *marks, circle(0, 0, 9, "chosen"))
        figures.append(MapFigure(one.name, one.note, drawing, np.round(place_N2, 1).tolist()))
    return figures


def score_levels(score_N: FloatArray) -> FloatArray:
    """Level of every score, 0 to LEVELS - 1, by rank; equal scores share a level."""
    _, rank_N, count = np.unique(score_N, return_inverse=True, return_counts=True)
    before = np.concatenate([[0], np.cumsum(count)[:-1]])
    level_N: FloatArray = np.floor(LEVELS * before[rank_N] / max(1, score_N.size))
    return level_N


def fitted(place_N2: FloatArray) -> FloatArray:
    """Return places in pixels: one scale for both directions, centred."""
    low, high = place_N2.min(axis=0), place_N2.max(axis=0)
    room = np.array([WIDTH, HEIGHT]) - 2 * _MARGIN
    scale = float(np.min(room / np.maximum(high - low, 1e-12)))
    middle = (low + high) / 2
    fit: FloatArray = (place_N2 - middle) * scale * [1, -1] + [WIDTH / 2, HEIGHT / 2]
    return fit


def _mark(place_2: FloatArray, label_index: int, level: int) -> Markup:
    """Draw a circle for good, a diamond for defective, a small square for unknown."""
    x, y = place_2.tolist()
    if label_index == GOOD:
        name, mark = "good", circle(x, y, 4, f"point s{level}")
    elif label_index == DEFECTIVE:
        name, mark = "defective", diamond(x, y, 5, f"point s{level}")
    else:
        name, mark = "unknown", rectangle(x - 2.5, y - 2.5, 5, 5, f"point s{level}")
    return element("g", {"class": name}, mark)
