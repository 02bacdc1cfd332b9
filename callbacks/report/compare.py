"""The page of a comparison: what differs, how surely, and on which images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from callbacks.statistics.threshold_table import precision_recall_f1

from .charts.compare_figures import difference_bar, precision_recall_curves, roc_curves
from .gallery import Panel
from .overlays import MARKED_COLOUR, PREDICTED_COLOUR, data_uri, enlarged, overlay
from .page import WIDTHS, drawn, render_page
from .wording import DASH, defined, interval_name, plural, share, span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from markupsafe import Markup

    from callbacks.measures.examples import Example
    from callbacks.statistics.bootstrap import Estimate
    from callbacks.statistics.comparison import Comparison, Pair
    from callbacks.statistics.paired import Judged

METRICS = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "f1": "F1",
    "recall": "recall",
    "precision": "precision",
    "fpr": "false-positive rate",
}
_LOWER_IS_BETTER = {"fpr"}
_EDGE, _FINE = 288, 320  # longest edges of images and overlays, in pixels


@dataclass(frozen=True)
class Contender:
    """A run, as the page names it.

    Attributes:
        letter: Its short name on the page.
        name: Of its model and data.
        path: Of its folder.
        facts: What else a reader wants to know: cost, number of training images.
    """

    letter: str
    name: str
    path: str
    facts: Mapping[str, str]


class Shown(NamedTuple):
    """What one run made of an image; no example where it could not be run again."""

    score: str
    verdict: str
    right: bool | None
    example: Example | None
    map_range: tuple[float, float]


class Dispute(NamedTuple):
    """An image on which verdicts differ."""

    name: str
    label: str
    about: str
    shown: Sequence[Shown]


@dataclass(frozen=True)
class CompareContent:
    """Everything that the page shows; N images, R runs.

    Attributes:
        contenders: R of them.
        judged: Scores and verdicts of each, (N,).
        label_N: 0 good, 1 defective, -1 unknown.
        comparison: Of the R runs.
        disputes: Images to look at.
        disputed: How many images there are on which verdicts differ.
        settings: Keys of the configs that differ, with the value of each run.
        warnings: Sentences that a reader must not miss.
        date: As text.
        command: To reproduce.
        confidence: Of the intervals.
    """

    contenders: Sequence[Contender]
    judged: Sequence[Judged]
    label_N: npt.NDArray[np.int64]
    comparison: Comparison
    disputes: Sequence[Dispute]
    disputed: int
    settings: Sequence[tuple[str, Sequence[str]]]
    warnings: Sequence[str]
    date: str
    command: str
    confidence: float = 0.95


def render_comparison(content: CompareContent) -> str:
    """Render the comparison as one HTML page that needs no server and no network."""
    good, defective = int((content.label_N == 0).sum()), int((content.label_N == 1).sum())
    both = good > 0 and defective > 0
    return render_page(
        "compare.html.j2",
        {
            "title": f"{plural(len(content.contenders), 'run')} on {plural(good + defective, 'common test picture')}",
            "content": content,
            "good": good,
            "defective": defective,
            "verdict": verdict(content),
            "interval": interval_name(content.confidence),
            "rows": _rows(content.comparison),
            "pairs": [_pair(pair, content) for pair in content.comparison.pairs],
            "roc": _curves(content, roc=True) if both else [],
            "pr": _curves(content, roc=False) if both else [],
            "disputes": [_dispute(one) for one in content.disputes],
            "marked_colour": f"rgb{MARKED_COLOUR}",
            "predicted_colour": f"rgb{PREDICTED_COLOUR}",
        },
        ("page.css", "compare.css"),
    )


def verdict(content: CompareContent) -> str:
    """Tell what the comparison says, in plain words: first where runs agree, then what their ranking tells."""
    known_N = content.label_N >= 0
    first, *others = content.judged
    same = all(np.array_equal(first.verdict_N[known_N], other.verdict_N[known_N]) for other in others)
    if same and all(np.array_equal(first.score_N[known_N], other.score_N[known_N]) for other in others):
        return "The runs agree: the same score and the same verdict on every image."
    agreed = "All runs call the same images defective. " if same else ""
    pairs = [pair for pair in content.comparison.pairs if defined(pair.p_adjusted) is not None]
    if not pairs:
        return f"{agreed}{_untested(content)}"
    sure = [pair for pair in pairs if pair.p_adjusted < 1 - content.confidence]
    if not sure:
        return f"{agreed}No difference in AUROC can be told from chance on these images."
    letters = [one.letter for one in content.contenders]
    if len(pairs) > 1:
        return f"{len(sure)} of {plural(len(pairs), 'pair')} differ in AUROC by more than chance."
    ahead, behind = (sure[0].first, sure[0].second) if sure[0].auroc.difference > 0 else (sure[0].second, sure[0].first)
    values = [content.comparison.estimates[index]["auroc"].value for index in (ahead, behind)]
    return (
        f"{letters[ahead]} ranks better than {letters[behind]}: AUROC {share(values[0])} against {share(values[1])}, "
        "and that is more than chance."
    )


def _untested(content: CompareContent) -> str:
    """Say why rankings cannot be compared."""
    missing = [name for name, label in (("good", 0), ("defective", 1)) if not (content.label_N == label).any()]
    if missing:
        return f"They hold no {missing[0]} image in common, so how they rank images cannot be compared."
    return "The good or the defective images are of a single group, so chance cannot be told from a difference."


def p_value(value: float) -> str:
    """Write a p value without false precision."""
    if defined(value) is None:
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.995 else "1"


def signed(value: float) -> str:
    """Write a difference with its sign."""
    return DASH if defined(value) is None else f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def _rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return one row for each metric, one cell for each run."""
    return [
        {
            "name": name,
            "note": "lower is better" if key in _LOWER_IS_BETTER else "",
            "cells": [_cell(estimates[key]) for estimates in comparison.estimates],
        }
        for key, name in METRICS.items()
    ]


def _cell(estimate: Estimate) -> tuple[str, str]:
    missing = defined(estimate.value) is None
    return share(estimate.value), "" if missing else span(estimate.low, estimate.high)


def _pair(pair: Pair, content: CompareContent) -> dict[str, Any]:
    """Return one pair: its tests, differences and agreement."""
    values = [pair.differences[key] for key in METRICS if defined(pair.differences[key].value) is not None]
    reach = max([0.01, *(max(abs(one.low), abs(one.high)) for one in values)])
    limit = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if step >= reach or step == 1.0)
    return {
        "first": content.contenders[pair.first],
        "second": content.contenders[pair.second],
        "first_index": pair.first,
        "second_index": pair.second,
        "p": p_value(pair.auroc.p_value),
        "p_adjusted": p_value(pair.p_adjusted),
        "delong": _delong(pair),
        "rows": [_difference(name, pair.differences[key], limit) for key, name in METRICS.items()],
        "agreement": pair.agreement,
    }


def _delong(pair: Pair) -> str:
    """Write what DeLong's test says; empty where it is not defined, since no spread can be told."""
    low, high = defined(pair.auroc.low), defined(pair.auroc.high)
    return "" if low is None or high is None or not low < high else f"{signed(low)} to {signed(high)}"


def _difference(name: str, estimate: Estimate, limit: float) -> dict[str, str | Markup]:
    if defined(estimate.value) is None:
        return {"name": name, "value": DASH, "range": "", "bar": ""}
    ends = f"{signed(estimate.low)} to {signed(estimate.high)}"
    bar = difference_bar(estimate, limit, f"Difference in {name}")
    return {"name": name, "value": signed(estimate.value), "range": ends, "bar": bar}


def _curves(content: CompareContent, *, roc: bool) -> list[tuple[str, Markup]]:
    """Draw the curves of every run, with the points of their verdicts."""
    tables = [precision_recall_f1(judged.score_N, content.label_N) for judged in content.judged]
    points = []
    for estimates in content.comparison.estimates:
        recall, precision, fpr = (defined(estimates[key].value) for key in ("recall", "precision", "fpr"))
        points.append((fpr or 0.0, recall or 0.0) if roc else (recall or 0.0, 1.0 if precision is None else precision))
    draw = roc_curves if roc else precision_recall_curves
    return drawn(WIDTHS, lambda width: draw(tables, points, width))


def _dispute(dispute: Dispute) -> dict[str, Any]:
    """Return a disputed image: itself, and what each run sees in it."""
    first = next((shown.example for shown in dispute.shown if shown.example is not None), None)
    runs = [
        {
            "score": shown.score,
            "verdict": shown.verdict,
            "right": shown.right,
            "panel": None if shown.example is None else _overlay(shown.example, shown.map_range),
        }
        for shown in dispute.shown
    ]
    return {**dispute._asdict(), "runs": runs, "picture": None if first is None else _panel(first)}


def _panel(example: Example) -> Panel:
    height, width = example.image.shape[:2]
    return Panel("picture", data_uri(example.image, _EDGE), height, width)


def _overlay(example: Example, map_range: tuple[float, float]) -> Panel:
    height, width = example.image.shape[:2]
    large = replace(enlarged(example, ceil(_FINE / max(height, width))), category=example.category)
    over = overlay(large.image, large.anomaly_map, *map_range, large.mask, large.predicted_mask)
    return Panel("overlay", data_uri(over, _FINE), height, width)
