"""Examples of what the detector decides: image, map, mask and overlay, with how close the call was."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from datamodules.table import LABEL_NAMES

from .pictures import data_uri, enlarged, panels_of
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
    """Gather all examples: those of each category, and those of both ends of the scores."""
    return {"galleries": galleries(view), "ranked": ranked_galleries(view)}


def galleries(view: ReportView) -> list[Gallery]:
    """Return all four categories, worst mistakes first, empty ones included."""
    counts = view.counts
    texts: tuple[tuple[Category, str, str, int, int], ...] = (
        (
            "miss",
            "Misses",
            "Defective pictures that were called good, furthest below the line first.",
            counts.fn,
            counts.defective,
        ),
        (
            "false_alarm",
            "False alarms",
            "Good pictures that were called defective, highest first.",
            counts.fp,
            counts.good,
        ),
        ("hit", "Hits", "Defective pictures that were found.", counts.tp, counts.defective),
        ("pass", "Passes", "Good pictures that passed.", counts.tn, counts.good),
    )
    found = []
    for category, title, note, total, possible in texts:
        rows = tuple(_row(one, view) for one in view.examples if one.category == category)
        shown = f"{note} {len(rows)} of {total:,} shown." if len(rows) < total else note
        none = "None." if possible else "None: the test holds no such pictures."
        none = f"None kept, of {plural(total, 'such picture')}." if total else none
        found.append(Gallery(category, title, shown, none, rows))
    return found


def ranked_galleries(view: ReportView) -> list[Gallery]:
    """Both ends of the scores and what lies nearest to the threshold, whatever the labels; empty ones are left out."""
    predictions = view.content.predictions
    label_of = dict(zip(predictions["name"], predictions["label_index"], strict=True))
    texts: tuple[tuple[Category, str, str], ...] = (
        ("highest", "Most anomalous", "Highest scores first."),
        ("nearest", "Nearest to the line", "Those that a slightly different threshold would have judged otherwise."),
        ("lowest", "Least anomalous", "Lowest scores first."),
    )
    found = []
    for category, title, note in texts:
        of_category = [one for one in view.examples if one.category == category]
        rows = tuple(_small_row(one, LABEL_NAMES[label_of[one.name]], view) for one in of_category)
        found += [Gallery(category, title, note, "", rows)] if rows else []
    return found


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
