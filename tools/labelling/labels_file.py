"""``labels.csv``: what every labelled image counts as, for whoever reads tables, ``loupe calibrate`` among them."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.files.csv_text import LINE_END, Rows, guarded
from datamodules.files.whole_files import write_whole

from .entries import DECIDED, DEFECTIVE, REWORK
from .weighing import weights_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .desk import Desk
    from .items import Item
    from .replay import Label, State

LABELS = "labels.csv"
COLUMNS = (
    *("image", "label", "defect", "kind", "group", "picked", "weight", "score", "threshold", "by", "when", "mask"),
    "note",
)
OPEN = "unknown"  # neither good nor defective, as every reader of labels understands it


def write_labels(desk: Desk, folder: Path) -> Path:
    """Write the table; return its path."""
    rows = label_rows(desk.gathered.items, desk.journal.state, desk.queue.picked, folder)
    return write_rows(folder / LABELS, COLUMNS, rows)


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write a table, whole or not at all; return its path."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(Rows(text), columns, lineterminator=LINE_END)
    writer.writeheader()
    for row in rows:
        writer.writerow({key: guarded(value) for key, value in row.items()})
    write_whole(path, text.getvalue().encode(), durable=True)
    return path


def label_rows(
    items: Mapping[str, Item], state: State, picked: Mapping[str, str], folder: Path
) -> list[dict[str, Any]]:
    """List what labelled images count as, by name.

    Args:
        items: All images of the set.
        state: What was said of them.
        picked: How each was picked.
        folder: Where the table lies, which names them from there.
    """
    found = ((name, state.label(name)) for name in items)
    labels = {name: label for name, label in found if label is not None}
    decided = [name for name, label in labels.items() if word_of(label) in DECIDED]
    weights, _ = weights_of([item.scored for item in items.values()], picked, decided)
    return [_row(items[name], label, picked[name], weights.get(name, 0.0), folder) for name, label in labels.items()]


def named_from(folder: Path, path: Path) -> str:
    """Name a file as a table in a folder names it: by the way to it where the folder lies beside or above it.

    So a source that holds its images and what was labelled may be moved as a whole. Other files have their whole path.
    """
    place, home = path.resolve(), folder.resolve()
    if not place.is_relative_to(home.parent) or home.parent == home:
        return str(place)
    return Path(os.path.relpath(place, home)).as_posix()


def labels_of(desk: Desk) -> dict[str, Label]:
    """Return the label of every labelled image of the set, by name."""
    found = ((name, desk.journal.state.label(name)) for name in desk.gathered.items)
    return {name: label for name, label in found if label is not None}


def word_of(label: Label) -> str:
    """Return the word for what an image counts as: good, defective, rework or unknown; disputed ones are unknown."""
    known = not label.disputed and label.mark.verdict in {*DECIDED, REWORK}
    return label.mark.verdict if known else OPEN


def _row(item: Item, label: Label, picked: str, weight: float, folder: Path) -> dict[str, Any]:
    word = word_of(label)
    return {
        "image": item.name if item.box else named_from(folder, item.path),
        "label": word,
        "defect": label.mark.type if word == DEFECTIVE else "",
        "kind": item.kind,
        "group": item.group,
        "picked": picked,
        "weight": f"{weight:.6g}" if word in DECIDED else "",
        "score": "" if item.score is None else repr(item.score),
        "threshold": "" if item.threshold is None else repr(item.threshold),
        "by": label.entry.by,
        "when": label.entry.when,
        "mask": label.mark.mask,
        "note": "disputed" if label.disputed else label.mark.verdict if word == OPEN else "",
    }
