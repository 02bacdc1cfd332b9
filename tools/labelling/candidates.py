"""Where advice finds labels: in a table, a journal, or the run's test images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from datamodules.errors import DataError
from datamodules.layouts.label_table import read_labels
from datamodules.layouts.words import WORDS, plain
from datamodules.table import DEFECTIVE, GOOD
from tools.runs.candidates import COLUMNS, Candidates, Unlabelled

from .entries import DEFECTIVE as CALLED_DEFECTIVE
from .images_file import IMAGES, labels_of_journal, read_images
from .items import items_of_run
from .journal import JOURNAL

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from tools.runs.run_folder import RunFolder

    from .items import Item

INDEX = {"good": GOOD, "defective": DEFECTIVE}


def find_candidates(config: DictConfig, folder: RunFolder) -> Candidates:
    """Find labels: in a table, in a journal, or those of the run's test images.

    Raises:
        DataError: There are none, or a label means nothing.
    """
    page = folder.path / "labels"
    journal = Path(str(config.journal)).expanduser() if config.journal is not None else page / JOURNAL
    if config.labels is not None:
        path = Path(str(config.labels)).expanduser()
        return _of_table(path, _tested(folder), str(path))
    if config.journal is not None or (journal.is_file() and (journal.parent / IMAGES).is_file()):
        known, _ = read_images(journal)
        return _of_table(labels_of_journal(journal), list(known.values()), str(journal))
    items = list(items_of_run(folder).items.values())
    decided = [item for item in items if item.given is not None]
    if not decided:
        raise DataError(
            f"Expected labels, but found none: nobody has labelled images of {folder.path}, and its test images have "
            f"no labels; run loupe label {folder.path}, or give labels=CSV."
        )
    rows = [_row(item, int(item.given is not None and item.given.verdict == CALLED_DEFECTIVE)) for item in decided]
    others = [item for item in items if item.given is None]
    return Candidates(pd.DataFrame(rows, columns=COLUMNS), _plain(others), "the run's test images", of_test=True)


def _tested(folder: RunFolder) -> list[Item]:
    """List the run's test images, where they still are."""
    try:
        return list(items_of_run(folder).items.values())
    except DataError:
        return []


def _of_table(path: Path, items: list[Item], source: str) -> Candidates:
    rows: list[dict[str, str]] = []
    for row in read_labels(path).to_dict("records"):
        image, word = str(row["image"]).strip(), str(row["label"]).strip()
        meant = WORDS.get(plain(word)) if word else "unknown"
        if meant is None:
            raise DataError(f"Expected labels in {path} to be good or defective, but found {word!r} for {image}.")
        rows.append({key: str(row.get(key, "")).strip() for key in COLUMNS} | {"meant": meant, "image": image})
    by_name = {key: item for item in items for key in (item.name, str(item.path.resolve()))}
    found: list[dict[str, object]] = []
    seen: set[str] = set()
    for entry in rows:
        known = by_name.get(entry["image"]) or by_name.get(str((path.parent / entry["image"]).resolve()))
        item_row = {"file": str(path.parent / entry["image"]), "box": ""}
        if known is not None:
            seen.add(known.name)
            item_row = {"file": str(known.path), "box": known.box}
        if entry["meant"] in INDEX:
            group = entry["group"] or (known.group if known is not None else "") or entry["image"]
            found.append({**entry, **item_row, "group": group, "label_index": INDEX[entry["meant"]]})
    if not found:
        raise DataError(f"Expected {path} to hold labels that are good or defective, but found none.")
    others = [item for item in items if item.name not in seen and item.given is None]
    return Candidates(pd.DataFrame(found)[list(COLUMNS)], _plain(others), source, of_test=False)


def _row(item: Item, label: int) -> dict[str, object]:
    return {
        "image": item.name,
        "file": str(item.path),
        "box": item.box,
        "label_index": label,
        "kind": item.kind,
        "group": item.group or item.name,
        "picked": "random",
    }


def _plain(items: list[Item]) -> list[Unlabelled]:
    return [Unlabelled(item.name, item.score, item.kind) for item in items if item.score is not None]
