"""``images.csv``: the images of a set as they were labelled, so that a journal can be read without its page.

With it, whoever has the journal knows from how many images the labelled ones were picked, and how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from datamodules.errors import DataError
from datamodules.files.csv_text import bare, map_texts
from datamodules.progress import tell

from .items import Item
from .journal import read_journal
from .labels_file import COLUMNS as LABEL_COLUMNS
from .labels_file import LABELS, label_rows, named_from, write_rows

if TYPE_CHECKING:
    from pathlib import Path

    from .desk import Desk

IMAGES = "images.csv"
COLUMNS = ("image", "path", "box", "kind", "group", "score", "threshold", "picked")


def write_images(desk: Desk, folder: Path) -> Path:
    """Write the images of a set; return the path of the table."""
    rows = [
        {
            "image": item.name,
            "path": named_from(folder, item.path),
            "box": item.box,
            "kind": item.kind,
            "group": item.group,
            "score": "" if item.score is None else repr(item.score),
            "threshold": "" if item.threshold is None else repr(item.threshold),
            "picked": desk.picked(item.name),
        }
        for item in desk.gathered.items.values()
    ]
    return write_rows(folder / IMAGES, COLUMNS, rows)


def labels_of_journal(journal: Path) -> Path:
    """Write ``labels.csv`` beside a journal, from it and ``images.csv``; people who label meanwhile are not disturbed.

    Raises:
        DataError: One of both is missing or damaged, or nothing was labelled.
    """
    state = read_journal(journal)
    items, picked = read_images(journal)
    if others := [image for image in state.images() if image not in items]:
        tell(
            f"{journal} also holds verdicts on {len(others)} images of another set, such as {others[0]}, which do not "
            "count: to have them, open that set again by loupe label."
        )
    rows = label_rows(items, state, picked, journal.parent)
    if not rows:
        raise DataError(
            f"Expected {journal} to say something of the images in {journal.parent / IMAGES}, but it says nothing; "
            "label some."
        )
    return write_rows(journal.parent / LABELS, LABEL_COLUMNS, rows)


def read_images(journal: Path) -> tuple[dict[str, Item], dict[str, str]]:
    """Read the images of a set from beside a journal; return them, and how each was picked, by name.

    Raises:
        DataError: They are not there.
    """
    path = journal.parent / IMAGES
    if not path.is_file():
        raise DataError(
            f"Expected {IMAGES} beside {journal}, where loupe label writes it, but found none; give the journal in its "
            "own folder, or labels=CSV."
        )
    table = map_texts(pd.read_csv(path, dtype=str, keep_default_na=False), bare)
    items, picked = {}, {}
    for row in table.to_dict("records"):
        name = str(row["image"])
        score, threshold = (float(row[key]) if row[key] else None for key in ("score", "threshold"))
        items[name] = Item(
            name, journal.parent / row["path"], row["box"], score, threshold, row["kind"], group=row["group"]
        )
        picked[name] = str(row["picked"])
    return items, picked
