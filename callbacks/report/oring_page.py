"""The page of a lot of o-rings: yield by type and state, reasons, and a control chart of every measure.

A page needs no server and no network.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .charts.control_chart import Point, control_chart
from .page import WIDTHS, drawn, render_page
from .wording import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STATES = ("accepted", "rework", "rejected", "unknown")
STYLES = ("page.css", "oring.css")
MOST_PARTS = 60  # that are listed, the worst first; the table on disk has them all
MOST_REASONS = 20


@dataclass(frozen=True)
class LotOfRings:
    """What the page shows.

    Attributes:
        rows: Of every part, as ``parts.csv`` has them, without those of images that show none.
        limits: Least and greatest accepted value (or None) by kind and measure.
        measures: Names of the measures that are charted, and what they are called.
        problems: Image and what is wrong with it.
        judged: Whether anything decided on states.
        notes: Sentences that a reader must not miss.
        date: As text.
        command: That made it.
    """

    rows: Sequence[Mapping[str, Any]]
    limits: Mapping[tuple[str, str], tuple[float | None, float | None]]
    measures: Sequence[tuple[str, str]]
    problems: Sequence[tuple[str, str]]
    judged: bool
    notes: Sequence[str]
    date: str
    command: str


def render_oring_lot(content: LotOfRings) -> str:
    """Render the page."""
    kinds = sorted({str(row["kind"]) for row in content.rows})
    states = Counter((str(row["kind"]), str(row["accepted"])) for row in content.rows)
    yields = [_yield(kind, states) for kind in kinds]
    if len(kinds) > 1:
        yields.append(_yield("all types", Counter({("all types", state): _all(states, state) for state in STATES})))
    values: dict[str, Any] = {
        "content": content,
        "sentence": sentence(content, states),
        "states": STATES,
        "yields": yields,
        "reasons": reasons(content.rows),
        "charts": [(kind, _charts(content, kind)) for kind in kinds],
        "worst": _worst(content),
        "more": max(len(content.rows) - MOST_PARTS, 0),
    }
    return render_page("oring.html.j2", values, STYLES, "page.js")


def sentence(content: LotOfRings, states: Mapping[tuple[str, str], int]) -> str:
    """Say in one sentence what was found."""
    counted = plural(len(content.rows), "part")
    if not content.judged:
        return f"{counted} measured{_defects(content.rows)}; no limits were given, so nothing is accepted or refused."
    counts = [f"{_all(states, state):,} {state}" for state in STATES if _all(states, state)]
    return f"{counted}: {', '.join(counts)}."


def _defects(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say on how many parts a model found defects; empty where no model searched."""
    searched = [int(row["defects"]) for row in rows if row.get("defects") is not None]
    if not searched:
        return ""
    found, missing = sum(searched), len(rows) - len(searched)
    counted = f", {sum(map(bool, searched)):,} with defects" + (f" ({found:,} in all)" if found else "")
    return counted + (f", {missing:,} that no model looked at" if missing else "")


def reasons(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, int]]:
    """Count the rules that decided on parts that are not accepted: kind, rule, parts; the most frequent first."""
    counted = Counter(
        (str(row["kind"]), rule.removeprefix(f"{row['kind']} ")) for row in rows for rule in row.get("rules", ())
    )
    return [(kind, rule, count) for (kind, rule), count in counted.most_common(MOST_REASONS)]


def _all(states: Mapping[tuple[str, str], int], state: str) -> int:
    return sum(count for (_, one), count in states.items() if one == state)


def _yield(kind: str, states: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    counts = {state: states.get((kind, state), 0) for state in STATES}
    total = sum(counts.values())
    share = counts["accepted"] / total if total else None
    return {"kind": kind or "one type", "counts": counts, "total": total, "share": share}


def _charts(content: LotOfRings, kind: str) -> list[dict[str, Any]]:
    """Draw every measure of a kind; those with a part outside first, as they are what a reader looks for."""
    rows = [row for row in content.rows if row["kind"] == kind]
    charts = []
    for name, words in content.measures:
        low, high = content.limits.get((kind, name), content.limits.get(("", name), (None, None)))
        points = [Point(float(row.get(name, math.nan)), str(row["accepted"])) for row in rows]
        known = [point.value for point in points if math.isfinite(point.value)]
        if not known:
            continue
        outside = sum((low is not None and value < low) or (high is not None and value > high) for value in known)
        figures = drawn({"narrow": WIDTHS["narrow"], "middle": WIDTHS["middle"]}, _draw(points, low, high, words))
        charts.append({"title": words, "outside": outside, "figures": figures, "limited": (low, high) != (None, None)})
    return sorted(charts, key=lambda chart: -chart["outside"])


def _draw(points: list[Point], low: float | None, high: float | None, words: str) -> Any:
    return lambda width: control_chart(points, low, high, width, words)


def _worst(content: LotOfRings) -> list[Mapping[str, Any]]:
    """List parts to look at: those refused, then the unknown ones."""
    order = {"rejected": 0, "unknown": 1, "rework": 2}
    found = [row for row in content.rows if row["accepted"] in order]
    return sorted(found, key=lambda row: order[row["accepted"]])[:MOST_PARTS]
