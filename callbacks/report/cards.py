"""The figures of merit as cards: a value, its interval as numbers and as a bar, and the baseline beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .charts.curves import Interval, interval_bar
from .wording import DASH, defined, percent, share, span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from .view import ReportView

_NO_CLASS = "needs good and defective test pictures"
_NO_DEFECT = "needs defective test pictures"
_NO_PIXEL = "needs test pictures with marked defects"


@dataclass(frozen=True)
class Measure:
    """A figure of merit that a card can show.

    Attributes:
        key: Name in metrics.json.
        title: Short name on the card.
        meaning: What the number says, in plain words.
        missing: Why there may be none.
        as_percent: Shown as a percentage.
        baseline: Name of what it is compared with, under ``baseline`` in metrics.json.
        baseline_name: What that is, in plain words; empty: the single number that the baseline names.
    """

    key: str
    title: str
    meaning: str
    missing: str
    as_percent: bool = False
    baseline: str = ""
    baseline_name: str = ""


IMAGE_MEASURES = (
    # The number may be lower on defective images: the direction chosen with it is the fair comparison.
    Measure(
        "image_auroc",
        "AUROC",
        "chance that a defective picture scores above a good one",
        _NO_CLASS,
        baseline="separability",
    ),
    Measure("image_ap", "Average precision", "precision averaged over all recalls", _NO_DEFECT, baseline="image_ap"),
    Measure(
        "image_f1",
        "F1",
        "precision and recall in one, at the threshold",
        _NO_DEFECT,
        baseline="image_f1_flag_all",
        baseline_name="all called defective",
    ),
    Measure("image_recall", "Recall", "share of defective pictures found", _NO_DEFECT, as_percent=True),
    Measure(
        "image_fpr",
        "False-positive rate",
        "share of good pictures called defective; lower is better",
        "needs good test pictures",
        as_percent=True,
    ),
)
PIXEL_MEASURES = (
    Measure("pixel_auroc", "Pixel AUROC", "chance that a defect pixel scores above a good one", _NO_PIXEL),
    Measure("pixel_ap", "Pixel average precision", "precision averaged over all recalls", _NO_PIXEL),
    Measure(
        "pixel_f1", "Pixel F1", "agreement with the marked area, at the pixel threshold", f"{_NO_PIXEL} and a threshold"
    ),
    Measure("pixel_aupro_0.3", "AU-PRO 0.3", "share of each defect covered, up to 30 % false pixels", _NO_PIXEL),
    Measure("pixel_aupro_0.05", "AU-PRO 0.05", "the same, up to 5 % false pixels", _NO_PIXEL),
)


@dataclass(frozen=True)
class Card:
    """What the page writes for one measure; ``bar`` is None and ``why`` is set where there is no value."""

    title: str
    meaning: str
    value: str
    interval: str
    baseline: str
    baseline_interval: str
    why: str
    bar: Markup | None


def cards_of(view: ReportView) -> dict[str, Any]:
    """Make all cards."""
    metrics = view.content.metrics
    return {
        "cards": [card(measure, metrics) for measure in IMAGE_MEASURES],
        "pixel_cards": pixel_cards(metrics),
        "has_baseline": bool(metrics.get("baseline")),
        "baseline_number": metrics.get("baseline", {}).get("number", ""),
    }


def card(measure: Measure, metrics: Mapping[str, Any]) -> Card:
    """Return one card from the contents of metrics.json."""
    write = percent if measure.as_percent else share
    model = _interval(metrics.get("test", {}).get(measure.key))
    baseline = _interval(metrics.get("baseline", {}).get(measure.baseline))
    if model is None:
        return Card(measure.title, measure.meaning, DASH, "", "", "", measure.missing, None)
    return Card(
        measure.title,
        measure.meaning,
        write(model.value),
        span(model.low, model.high, as_percent=measure.as_percent),
        "" if baseline is None else f"{measure.baseline_name or _number(metrics)} {write(baseline.value)}",
        "" if baseline is None else span(baseline.low, baseline.high, as_percent=measure.as_percent),
        "",
        interval_bar(model, baseline, measure.title),
    )


def pixel_cards(metrics: Mapping[str, Any]) -> list[Card]:
    """Return cards of the pixel measures; none where not one of them has a value."""
    cards = [card(measure, metrics) for measure in PIXEL_MEASURES]
    return cards if any(one.bar is not None for one in cards) else []


def _number(metrics: Mapping[str, Any]) -> str:
    """Name the number that is the baseline; runs before it was chosen took brightness."""
    return str(metrics["baseline"].get("number", "brightness").partition(",")[0])


def _interval(estimate: Mapping[str, float | None] | None) -> Interval | None:
    """None where the value is missing; an interval without ends shrinks to its value."""
    if estimate is None or (value := defined(estimate.get("value"))) is None:
        return None
    low, high = defined(estimate.get("low")), defined(estimate.get("high"))
    return Interval(value, value if low is None else low, value if high is None else high)
