"""Examples of what the detector decides: image, map, mask and overlay, with how close the call was."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from callbacks.measures.examples import JUDGED, RANKED
from datamodules.table import LABEL_NAMES

from .overlays import data_uri, enlarged, panels_of
from .wording import distance, plural, score

if TYPE_CHECKING:
    from callbacks.measures.examples import Category, Example

    from .view import ReportView

_EDGE = 384  # longest edge of an image on the page, in pixels; it is shown at 220 or so, on screens of twice that
_FINE = 512  # of an overlay, whose contours are thin
_SMALL = 288  # of an image in a ranked gallery


@dataclass(frozen=True)
class Panel:
    """One image of a row: what it is, its address and its size in pixels."""

    name: str
    source: str
    height: int
    width: int


@dataclass(frozen=True)
class Row:
    """One example."""

    name: str
    score: str
    distance: str
    about: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Gallery:
    """Examples of one category; ``none`` says why where there are none."""

    category: Category
    title: str
    note: str
    none: str
    rows: tuple[Row, ...]


def galleries_of(view: ReportView) -> dict[str, Any]:
    """Show each image once: first those that need a person's eye, then, folded, the others."""
    shown: set[str] = set()
    open_ones = [_open(category, view, shown) for category in OPEN]
    more = [_gallery(category, view, shown) for category in JUDGED]
    ranked = [_ranked(category, view, shown) for category in RANKED]
    folded, in_rows = ([one for one in found if one.rows] for found in (more, ranked))
    return {
        "open_galleries": [one for one in open_ones if one.rows or one.none],
        "galleries": folded,
        "ranked": in_rows,
        "more_examples": sum(len(one.rows) for one in (*folded, *in_rows)),
    }


TEXTS: dict[Category, tuple[str, str]] = {
    "miss": ("Misses", "Defective images that were called good, furthest below the threshold first."),
    "false_alarm": ("False alarms", "Good images that were called defective, highest first."),
    "nearest": ("Nearest to the threshold", "A slightly different threshold would have judged them otherwise."),
    "hit": ("Hits", "Defective images that were found."),
    "pass": ("Passes", "Good images that passed."),
    "highest": ("Most anomalous", "Highest scores first."),
    "lowest": ("Least anomalous", "Lowest scores first."),
}
OPEN: tuple[Category, ...] = ("miss", "false_alarm", "nearest")
MOST_OPEN = 3  # of each, in one row


def _open(category: Category, view: ReportView, shown: set[str]) -> Gallery:
    """Show the first few of a category; where there are none, say so in a line."""
    title, note = TEXTS[category]
    total, possible = _totals(view).get(category, (0, 0))
    examples = _not_yet(category, view, shown)[:MOST_OPEN]
    shown.update(one.name for one in examples)
    rows = tuple(_small_row(one, _label_of(one, view), view) for one in examples)
    if total > len(rows):
        note += f" {len(rows)} of {total:,} shown here."
    none = "" if category == "nearest" else "none." if possible else "none, since the test holds no such images."
    none = f"none kept, of {plural(total, 'such image')}." if total else none
    return Gallery(category, title, note, none, rows)


def _gallery(category: Category, view: ReportView, shown: set[str]) -> Gallery:
    """Show the others of a category, with map and marked defect."""
    title, note = TEXTS[category]
    examples = _not_yet(category, view, shown)
    shown.update(one.name for one in examples)
    rows = tuple(_row(one, view) for one in examples)
    total, _ = _totals(view)[category]
    before = "Further ones. " if category in OPEN else ""
    counted = f" {len(rows)} of {total:,} shown." if len(rows) < total else ""
    return Gallery(category, title, f"{before}{note}{counted}", "", rows)


def _ranked(category: Category, view: ReportView, shown: set[str]) -> Gallery:
    """Show one end of the scores, or more of what lies at the threshold, whatever the labels."""
    title, note = TEXTS[category]
    examples = _not_yet(category, view, shown)
    shown.update(one.name for one in examples)
    rows = tuple(_small_row(one, _label_of(one, view), view) for one in examples)
    return Gallery(category, title, note, "", rows)


def _not_yet(category: Category, view: ReportView, shown: set[str]) -> list[Example]:
    return [one for one in view.examples if one.category == category and one.name not in shown]


def _totals(view: ReportView) -> dict[Category, tuple[int, int]]:
    """Count the images of each category, and those that might have been of it."""
    counts = view.counts
    return {
        "miss": (counts.fn, counts.defective),
        "false_alarm": (counts.fp, counts.good),
        "hit": (counts.tp, counts.defective),
        "pass": (counts.tn, counts.good),
    }


def _label_of(example: Example, view: ReportView) -> str:
    predictions = view.content.predictions
    found = predictions.loc[predictions["name"] == example.name, "label_index"]
    return LABEL_NAMES[int(found.iloc[0])] if len(found) else ""


def _small_row(example: Example, label: str, view: ReportView) -> Row:
    """Image and overlay alone."""
    height, width = example.image.shape[:2]
    over = panels_of(enlarged(example, ceil(_SMALL / max(height, width))), *view.content.map_range)[3]
    sources = (("picture", data_uri(example.image, _SMALL)), ("overlay", data_uri(over, _SMALL)))
    return Row(
        example.name,
        score(example.score, view.decimals),
        distance(example.score, view.threshold_of(example.kind), view.decimals),
        ", ".join(part for part in (label, example.kind, example.defect) if part),
        tuple(Panel(name, source, height, width) for name, source in sources),
    )


def _row(example: Example, view: ReportView) -> Row:
    height, width = example.image.shape[:2]
    image, colours, mask, _ = panels_of(example, *view.content.map_range)
    # Contours are a pixel wide at least: over small images they are drawn at a finer size.
    over = panels_of(enlarged(example, ceil(_EDGE / max(height, width))), *view.content.map_range)[3]
    sources = (
        data_uri(image, _EDGE),
        data_uri(colours, _EDGE),
        data_uri(mask, _EDGE, lossless=True),
        data_uri(over, _FINE),
    )
    names = ("picture", "map", "mask" if example.mask is not None else "no mask", "overlay")
    return Row(
        example.name,
        score(example.score, view.decimals),
        distance(example.score, view.threshold_of(example.kind), view.decimals),
        ", ".join(part for part in (example.kind, example.defect) if part),
        tuple(Panel(name, source, height, width) for name, source in zip(names, sources, strict=True)),
    )
