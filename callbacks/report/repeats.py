"""The page of a repeated training: how much figures move from seed to seed or fold to fold, and links to the parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .charts.svg import Axis, circle, figure, line, text
from .page import render_page
from .wording import interval_name, percent, share, span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from callbacks.statistics.bootstrap import Estimate
    from callbacks.statistics.spread import Spread

NAMES = {
    "image_auroc": "AUROC",
    "image_ap": "average precision",
    "image_f1": "F1",
    "image_recall": "recall",
    "image_fpr": "false-positive rate",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel average precision",
    "pixel_f1": "pixel F1",
    "pixel_aupro_0.3": "AU-PRO 0.3",
    "pixel_aupro_0.05": "AU-PRO 0.05",
}


@dataclass(frozen=True)
class RepeatsContent:
    """Everything that the page shows.

    Attributes:
        title: For example ``patchcore on fiber end_faces``.
        what: For example ``5 folds``.
        spreads: By the names of metrics.json.
        parts: Name of each part, and its address seen from the page; empty where it has no page.
        verdicts: What each part found, in a sentence.
        notes: Sentences that a reader must not miss.
        date: As text.
        command: To reproduce, or to go on.
        confidence: Of the intervals.
        pooled: What became of all images in all folds together, in a sentence; empty without folds.
        rates: Names of rates of these verdicts, and the rates.
    """

    title: str
    what: str
    spreads: Mapping[str, Spread]
    parts: Sequence[tuple[str, str]]
    verdicts: Sequence[str]
    notes: Sequence[str]
    date: str
    command: str
    confidence: float = 0.95
    pooled: str = ""
    rates: Sequence[tuple[str, Estimate]] = ()


def render_repeats(content: RepeatsContent) -> str:
    """Render the page; it needs no server and no network, and links to the reports beside it."""
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "mean": share(found.value),
            "std": share(found.std),
            "range": "" if found.low is None or found.high is None else span(found.low, found.high),
            "dots": dots(found, name),
            "parts": [share(value) for value in found.parts],
        }
        for key, name in NAMES.items()
        if (found := content.spreads.get(key)) is not None and found.value is not None
    ]
    values = {
        "content": content,
        "rows": rows,
        "parts": list(zip(content.parts, content.verdicts, strict=True)),
        "interval": interval_name(content.confidence),
        "headline": headline(content),
        "rates": [
            (name, percent(rate.value), span(rate.low, rate.high, as_percent=True)) for name, rate in content.rates
        ],
    }
    return render_page("repeats.html.j2", values)


def headline(content: RepeatsContent) -> str:
    """Tell what repeating says about the AUROC, in one sentence."""
    found = content.spreads.get("image_auroc")
    if found is None or found.value is None:
        return f"{content.what}: no AUROC, which needs good and defective test pictures."
    known = [value for value in found.parts if value is not None]
    if len(known) == 1:
        return f"AUROC {share(found.value)} in the one part that has one."
    if found.low is None:
        values = " and ".join(share(value) for value in known)
        return f"AUROC {values} with {content.what}, which give no interval: set repeat=3 or more."
    return f"AUROC {share(found.value)} \N{PLUS-MINUS SIGN} {share(found.std)} over {content.what}."


def dots(found: Spread, name: str) -> Markup:
    """Draw every part as a dot between 0 and 1, the interval of the mean behind them, and the mean as a tick."""
    width, height = 240.0, 28.0
    x = Axis(0, 1, 5, width - 5)
    parts = [line(x(tick), 2, x(tick), 16, "grid") for tick in (0, 0.25, 0.5, 0.75, 1)]
    if found.low is not None and found.high is not None:
        parts.append(line(x(found.low), 9, x(found.high), 9, "range model"))
    parts += [circle(x(value), 9, 3.2, "value model") for value in found.parts if value is not None]
    if found.value is not None:
        parts.append(line(x(found.value), 1, x(found.value), 17, "threshold"))
    for tick, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        parts.append(text(x(tick) + {"start": -5, "middle": 0, "end": 5}[anchor], 27, f"{tick:g}", "tick", anchor))
    return figure(width, height, name, f"Mean {share(found.value)} of {len(found.parts)} parts.", *parts)
