"""One page from the content of a report: everything inside it, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .cards import IMAGE_MEASURES, card, pixel_cards
from .facts import Confusion, confusion, image_threshold, parts_by, verdict
from .figures import colour_scale, kept_rows, precision_recall_figure, roc_figure, sweep_figure
from .gallery import galleries
from .pictures import MARKED_COLOUR, PREDICTED_COLOUR, colour_map
from .score_figure import ScoreSet, score_figure
from .svg import padded_range
from .wording import DASH, breakable, defined, interval_name, percent, plural, score, score_decimals, share, span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from .content import ReportContent

_FOLDER = Path(__file__).parent
_WIDTHS = {"narrow": 340.0, "middle": 540.0}
_HERO_WIDTHS = {"narrow": 340.0, "middle": 680.0, "wide": 1080.0}
_MOST_ROWS_OPEN = 8  # of a table that is shown unfolded


def render_report(content: ReportContent) -> str:
    """Renders the report as one HTML page that needs no server and no network.

    The same content gives the same page, byte for byte.

    Args:
        content: What to show. ``started`` (ISO 8601), ``command`` and ``weights`` of its ``environment`` have places of
            their own on the page; the rest of it is listed.

    Returns:
        HTML with its styles, script, figures and pictures inside.
    """
    templates = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,  # names of files, kinds and configs come from outside
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script, style = ((_FOLDER / name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    templates.filters |= {"share": share, "percent": percent, "plural": plural, "span": span, "breakable": breakable}
    return templates.get_template("page.html.j2").render(
        style=Markup(style),  # noqa: S704 - the package's own file
        script=Markup(script),  # noqa: S704 - the package's own file
        script_hash=own,  # lets the browser run this script and no other
        dash=DASH,
        **_facts(content),
        **_figures(content),
        **_records(content),
    )


def _facts(content: ReportContent) -> dict[str, Any]:
    """Verdict, warnings, cards and tables of counts."""
    threshold = image_threshold(content)
    counts = confusion(content.predictions, threshold)
    unlabelled = len(content.predictions) - counts.good - counts.defective
    return {
        "title": content.title,
        "verdict": verdict(counts),
        "interval": interval_name(content.confidence),
        "rates": _rates(content, counts),
        "warnings": content.warnings,
        "cards": [card(measure, content.metrics) for measure in IMAGE_MEASURES],
        "pixel_cards": pixel_cards(content.metrics),
        "has_baseline": bool(content.metrics.get("baseline")),
        "confusion": counts,
        "unlabelled": unlabelled,
        "by_kind": parts_by(content.predictions, "kind", threshold, content.confidence),
        "by_defect": parts_by(content.predictions, "defect", threshold, content.confidence),
        "galleries": galleries(content, counts),
    }


def _rates(content: ReportContent, counts: Confusion) -> str:
    """Recall and false-positive rate with their intervals, as far as they are defined."""
    test = content.metrics.get("test", {})
    written = []
    for name, key, value in (
        ("recall", "image_recall", counts.recall),
        ("false-positive rate", "image_fpr", counts.fpr),
    ):
        if value is not None:
            low, high = (defined((test.get(key) or {}).get(end)) for end in ("low", "high"))
            interval = "" if low is None or high is None else f" ({span(low, high, as_percent=True)})"
            written.append(f"{name} {percent(value)}{interval}")
    sentence = ", ".join(written)
    ended = f"{sentence[:1].upper()}{sentence[1:]}"
    return f"{ended}; in brackets, {interval_name(content.confidence)}s." if "(" in sentence else sentence


def _figures(content: ReportContent) -> dict[str, Any]:
    """Drawings, each in the widths that the page may need; those that would say nothing are left out."""
    threshold = image_threshold(content)
    counts = confusion(content.predictions, threshold)
    test, calibration = _scores(content.predictions), _scores(content.calibration_scores)
    drawn_scores = np.concatenate([test.good, test.defective, calibration.good, calibration.defective])
    limits = padded_range([*drawn_scores.tolist(), threshold])
    sweep, drawn = content.sweep, counts.defective > 0 and len(content.sweep) > 0
    precision, recall = defined(counts.precision), defined(counts.recall) or 0.0
    at = [np.nan if precision is None else precision, recall, counts.f1 or 0.0]
    fpr = counts.fpr
    pixel = content.calibration.get("pixel")
    return {
        "score_figures": _drawn(_HERO_WIDTHS, lambda w: score_figure(test, calibration, threshold, limits, w)),
        "sweep_figures": _drawn(_HERO_WIDTHS, lambda w: sweep_figure(sweep, threshold, at, limits, w)) if drawn else [],
        "pr_figures": _drawn(
            _WIDTHS, lambda w: precision_recall_figure(sweep, None if precision is None else (recall, precision), w)
        )
        if drawn
        else [],
        "roc_figures": _drawn(_WIDTHS, lambda w: roc_figure(sweep, (fpr or 0.0, recall), w))
        if drawn and counts.good
        else [],
        "at_threshold": _at_threshold(counts, score(threshold, score_decimals(*limits))),
        "best_f1": _best(sweep, score_decimals(*limits)) if drawn else None,
        "sweep_data": _sweep_data(sweep, limits, counts) if drawn else None,
        "scale": colour_scale(_colours(), content.map_range, pixel["value"] if pixel else None, 340.0),
        "marked_colour": f"rgb{MARKED_COLOUR}",
        "predicted_colour": f"rgb{PREDICTED_COLOUR}",
    }


def _drawn(widths: Mapping[str, float], draw: Callable[[float], Markup]) -> list[tuple[str, Markup]]:
    return [(name, draw(width)) for name, width in widths.items()]


def _scores(table: pd.DataFrame) -> ScoreSet:
    """Scores by label; pictures without one are left out."""
    score_N = table["score"].to_numpy(dtype=np.float64)
    label_N = table["label_index"].to_numpy()
    return ScoreSet(score_N[label_N == 0], score_N[label_N == 1])


def _at_threshold(counts: Confusion, threshold: str) -> str:
    rates = f"precision {share(counts.precision)}, recall {share(counts.recall)}, F1 {share(counts.f1)}"
    return (
        f"At the threshold {threshold}: {rates}. {counts.tp:,} found, {counts.fn:,} missed, "
        f"{plural(counts.fp, 'false alarm')}, {counts.tn:,} passed."
    )


def _best(sweep: pd.DataFrame, decimals: int) -> str:
    row = sweep.iloc[int(sweep["f1"].to_numpy().argmax())]
    return f"{share(row['f1'])} at {score(row['threshold'], decimals)}"


def _sweep_data(sweep: pd.DataFrame, limits: tuple[float, float], counts: Confusion) -> dict[str, Any]:
    """What the script needs to read the sweep under the pointer; of a long sweep, some rows of each pixel."""
    low, high = limits
    row_T = np.clip(sweep["threshold"].to_numpy(dtype=np.float64), low, high)  # JSON knows no infinity
    kept = kept_rows((row_T - low) / (high - low) * _HERO_WIDTHS["wide"], sweep["f1"].to_numpy(dtype=np.float64))
    return {
        "low": low,
        "high": high,
        "left": 34,
        "right": 10,
        "decimals": score_decimals(low, high),
        "defective": counts.defective,
        "good": counts.good,
        "threshold": row_T[kept].tolist(),
        "tp": sweep["tp"].to_numpy()[kept].tolist(),
        "fp": sweep["fp"].to_numpy()[kept].tolist(),
    }


def _colours() -> list[str]:
    ramp = colour_map(np.linspace(0, 1, 64, dtype=np.float32)[None], 0, 1)[0]
    return [f"rgb({red},{green},{blue})" for red, green, blue in ramp.tolist()]


def _records(content: ReportContent) -> dict[str, Any]:
    """What the result rests on: thresholds, data, environment, config."""
    environment = dict(content.environment)
    started, command, weights = (environment.pop(name, "") for name in ("started", "command", "weights"))
    return {
        "date": _date(str(started)),
        "command": command,
        "thresholds": _thresholds(content),
        "counts": content.counts.rename_axis(None),
        "excluded": content.excluded.astype(str).to_dict("records"),
        "most_rows_open": _MOST_ROWS_OPEN,
        "weights": flat(weights if isinstance(weights, dict) else {"weights": weights} if weights else {}),
        "environment": flat(environment),
        "config": content.config,
    }


def _thresholds(content: ReportContent) -> list[dict[str, Any]]:
    """Image and pixel threshold with policy and promise."""
    rows = []
    for key, name in (("image", "Pictures"), ("pixel", "Pixels")):
        if chosen := content.calibration.get(key):
            rows.append(
                {
                    "name": name,
                    "value": f"{float(chosen['value']):.6g}".replace("-", "\N{MINUS SIGN}"),
                    "policy": str(chosen.get("policy", "")),
                    "promise": str(chosen.get("promise", "")),
                    # What a pixel policy counts, pixels or highest values of pictures, is for its promise to say.
                    "good": chosen.get("n_good") if key == "image" else None,
                    "defective": chosen.get("n_defective"),
                    "fallback": bool(chosen.get("fallback")),
                }
            )
    return rows


def flat(values: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Nested values as rows of a table: ``{"torch": {"version": 2}}`` gives ``("torch version", "2")``."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{above} {key}".strip().replace("_", " ")
        if isinstance(value, dict):
            rows += flat(value, name)
        else:
            rows.append((name, _written(value)))
    return rows


def _date(started: str) -> str:
    """Day and minute of a time in ISO 8601; anything else as it stands."""
    try:
        return f"{datetime.fromisoformat(started):%Y-%m-%d %H:%M %Z}".strip()
    except ValueError:
        return started


def _written(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return DASH if value is None or value == "" else str(value)
