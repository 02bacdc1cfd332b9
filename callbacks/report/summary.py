"""What a reader sees first: the verdict, what must not be missed, and the counts behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .facts import headline, parts_by, threshold_of
from .wording import defined, interval_name, percent, span

MOST_WARNINGS = 4  # that are not folded

if TYPE_CHECKING:
    from .view import ReportView


def summary_of(view: ReportView) -> dict[str, Any]:
    """Gather verdict, warnings and tables of counts."""
    content, counts = view.content, view.counts
    kinds = parts_by(content.predictions, "kind", content.confidence)
    return {
        "title": content.title,
        "verdict": headline(counts, content.metrics, kinds),
        "interval": interval_name(content.confidence),
        "rates": _rates(view),
        "warnings": content.warnings,
        "most_warnings": MOST_WARNINGS,
        "deciding": _deciding(view),
        "confusion": counts,
        "unlabelled": len(content.predictions) - counts.good - counts.defective,
        "by_kind": kinds,
        "by_defect": parts_by(content.predictions, "defect", content.confidence),
        "training": content.metrics.get("training"),
        "own_thresholds": len(view.of_kinds) > 0,
    }


def _deciding(view: ReportView) -> str:
    """Say in plain words how an image is judged, and what the threshold promises."""
    if view.threshold != view.threshold:
        return "Every image gets a score, higher where it is less like the good ones."
    chosen = threshold_of(view.content.calibration, "image") or {}
    kinds = " Kinds of images have thresholds of their own." if view.of_kinds else ""
    sentence = (
        "Every image gets a score, higher where it is less like the good ones it learned from. It is called defective "
        f"where its score reaches the threshold, {view.written_threshold}, which was chosen on calibration images "
        f"alone.{kinds}"
    )
    return f"{sentence} {chosen['promise']}" if chosen.get("promise") else sentence


def _rates(view: ReportView) -> str:
    """How many are found and how many rejected, with intervals, as far as they are defined."""
    content, counts, test = view.content, view.counts, view.content.metrics.get("test", {})
    written = []
    for words, key, value in (
        ("found: {} of the defective pictures", "image_recall", counts.recall),
        ("rejected: {} of the good ones", "image_fpr", counts.fpr),
    ):
        if value is not None:
            low, high = (defined((test.get(key) or {}).get(end)) for end in ("low", "high"))
            interval = "" if low is None or high is None else f" ({span(low, high, as_percent=True)})"
            written.append(f"{words.format(percent(value))}{interval}")
    sentence = "; ".join(written)
    ended = f"{sentence[:1].upper()}{sentence[1:]}"
    interval = interval_name(content.confidence)
    meaning = f"In brackets, where that may well lie for more pictures of the same kind ({interval}s)."
    return f"{ended}. {meaning}" if "(" in sentence else ended
