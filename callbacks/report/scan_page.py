"""The pages of scans: one for all, with the areas to look at first, and one for each scan.

A page needs no server and no network. A scan's layers lie in its page once, and are shown whole, with areas outlined,
and at full size where somebody clicks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from callbacks.inclusions.measures import MEASURES
from callbacks.inclusions.order_keys import FINAL, KEYS
from callbacks.inclusions.ranking import decile_text, ranked

from .charts.scan_figures import distribution
from .page import render_page
from .scan_layers import COLOURS
from .wording import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

STYLES = ("page.css", "scans.css")
SHOWN = 24  # recommended areas before the button that shows all
KEY_WORDS = {
    "median": "median score",
    "mean": "mean score",
    "sum": "sum of scores",
    "amount": "number of inclusions",
    "areas_sum": "sum of their areas",
    "diameter": "diameter",
    "amount_div_diameter": "number by diameter",
    "amount_mult_diameter": "number times diameter",
    "sum_div_diameter": "sum of scores by diameter",
    "area_sum_div_diameter": "sum of areas by diameter",
    "area_sum_mult_diameter": "sum of areas times diameter",
    "weighted_area_sum_mult_diameter": "score-weighted area times diameter",
    "weighted_area_sum_mult_diameter_mult_amount": "score-weighted area times diameter and number",
    "weighted_area2_sum_mult_diameter": "score-weighted squared area times diameter",
    FINAL: "recommended: score, squared area, diameter, number",
}


@dataclass(frozen=True)
class ScanArea:
    """An area on a page.

    Attributes:
        number: Its rank among the areas of all scans by the recommended key, from 1.
        members: Inclusions in it.
        keys: Its values.
        outline: Corners (x, y) around it, in pixels of the scan.
        box: top, bottom, left, right, in pixels of the scan.
        thumbnail: ``data:`` address.
    """

    number: int
    members: int
    keys: Mapping[str, float]
    outline: Sequence[tuple[float, float]]
    box: tuple[int, int, int, int]
    thumbnail: str


@dataclass(frozen=True)
class ScanContent:
    """What the page of a scan shows.

    Attributes:
        name: Of the scan.
        address: Of its page, from the page of all.
        shape: Height and width in pixels.
        shrunk: By which whole number its layers are smaller.
        image: ``data:`` address of what lies below; empty: white.
        layers: ``data:`` addresses of what may lie on it, by name; those of ``MEASURES`` first.
        overview: Small ``data:`` address for the page of all.
        areas: In the order of their numbers.
        inclusions: How many there are.
        tables: Title, head and rows of tables.
        figures: Title and drawing.
        notes: Sentences below the tables.
    """

    name: str
    address: str
    shape: tuple[int, int]
    shrunk: int
    image: str
    layers: Mapping[str, str]
    overview: str
    areas: Sequence[ScanArea]
    inclusions: int
    tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]] = ()
    figures: Sequence[tuple[str, Markup]] = ()
    notes: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True)
class ScansContent:
    """What the page of all scans shows.

    Attributes:
        what: ``map`` or ``scan``.
        scans: All that were measured.
        problems: Path, problem and remedy of files that were not.
        date: As text.
        command: That made it.
        tables: Title, head and rows of tables.
        notes: Sentences below them.
    """

    what: str
    scans: Sequence[ScanContent]
    problems: Sequence[tuple[str, str, str]]
    date: str
    command: str
    tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]] = ()
    notes: Sequence[str] = ()


def render_scan(content: ScanContent, what: str, areas: int, back: str, date: str) -> str:
    """Render the page of one scan.

    Args:
        content: Of the scan.
        what: ``map`` or ``scan``.
        areas: How many there are in all scans.
        back: Address of the page of all.
        date: As text.
    """
    height, width = content.shape
    values: dict[str, Any] = {
        "content": content,
        "what": what,
        "areas": areas,
        "back": back,
        "date": date,
        "measures": [name for name in MEASURES if name in content.layers],
        "others": [name for name in content.layers if name not in MEASURES],
        "sentence": sentence(content),
        "ramp": ramp(),
        "final": FINAL,
        "width": width,
        "height": height,
        "stroke": max(width, height) / 500,
    }
    return render_page("scan.html.j2", values, STYLES, "scans.js")


def render_scans(content: ScansContent) -> str:
    """Render the page of all scans: areas to look at first, how keys are distributed, and the scans."""
    areas = [(scan, area) for scan in content.scans for area in scan.areas]
    areas.sort(key=lambda one: one[1].number)
    columns = {name: np.array([area.keys[name] for _, area in areas], np.float64) for name in KEYS}
    places = {name: ranked(column) for name, column in columns.items()}
    values: dict[str, Any] = {
        "content": content,
        "areas": areas,
        "shown": SHOWN,
        "words": KEY_WORDS,
        "final": FINAL,
        "sentence": whole_sentence(content, areas),
        "inclusions": sum(scan.inclusions for scan in content.scans),
        "deciles": [decile_text(int(decile)) for decile in places[FINAL].decile_A],
        "ranks": {
            name: {
                "rank": place.rank_A.tolist(),
                "decile": place.decile_A.tolist(),
                "value": [f"{value:.4g}" for value in columns[name]],
            }
            for name, place in places.items()
        },
        "figures": {name: key_figure(name, column) for name, column in columns.items()},
        "ramp": ramp(),
    }
    return render_page("scans.html.j2", values, STYLES, "scans.js")


def key_figure(name: str, value_A: np.ndarray[Any, np.dtype[np.float64]]) -> Markup:
    """Draw how a key is distributed over all areas, with its deciles; wide ones by powers of ten."""
    positive = value_A[value_A > 0]
    wide = len(positive) > 1 and float(positive.max()) > 100 * float(positive.min())
    marks = (
        [(f"{10 * decile} %", float(np.percentile(value_A, 10 * decile))) for decile in range(1, 10)]
        if len(value_A)
        else []
    )
    return distribution(value_A, KEY_WORDS[name], "value of the key, with deciles", marks, logarithmic=wide)


def sentence(content: ScanContent) -> str:
    """Say in one sentence what was found in a scan."""
    if not content.areas:
        return f"{plural(content.inclusions, 'inclusion')}; no area stands out."
    ranks = ", ".join(str(area.number) for area in content.areas[:3])
    more = ", ..." if len(content.areas) > 3 else ""
    return (
        f"{plural(content.inclusions, 'inclusion')}, {plural(len(content.areas), 'area')}: number {ranks}{more} of all."
    )


def whole_sentence(content: ScansContent, areas: Sequence[tuple[ScanContent, ScanArea]]) -> str:
    """Say in one sentence where to look first."""
    count = sum(scan.inclusions for scan in content.scans)
    found = f"{plural(count, 'inclusion')} in {plural(len(content.scans), content.what)}, {plural(len(areas), 'area')}"
    return f"{found}: look at {areas[0][0].name} first." if areas else f"{found}."


def ramp() -> str:
    """Return the colours from blue to red, as a gradient of a style."""
    return ", ".join(f"rgb({red} {green} {blue})" for red, green, blue in COLOURS)
