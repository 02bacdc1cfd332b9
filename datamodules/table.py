"""The sample table: one row per image, with everything that a split, a loader or a report has to know about it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pandas as pd

from .errors import DataError
from .files.csv_text import bare, map_texts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

GOOD, DEFECTIVE, UNKNOWN = 0, 1, -1
TRAIN, CALIBRATION, TEST, UNASSIGNED = "train", "calibration", "test", ""
SPLITS = (TRAIN, CALIBRATION, TEST)
LABEL_NAMES = {GOOD: "good", DEFECTIVE: "defective", UNKNOWN: "unknown"}

REQUIRED = ("image_path", "name", "label_index")
DEFAULTS: Mapping[str, str] = {
    "split": UNASSIGNED,
    "mask_path": "",
    "zones_path": "",
    "annotation_path": "",
    "group": "",
    "kind": "",
    "defect": "",
}


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a saved sample table: names, groups and hashes as text, even where they look like numbers."""
    text = dict.fromkeys(("image_path", "name", "sha256", "machine", "job", "build", *DEFAULTS), "str")
    return map_texts(pd.read_csv(path, dtype=text, keep_default_na=False), bare)


def complete_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Fill in optional columns, check every value, and sort by name, so that the order of files on disk never matters.

    Args:
        rows: ``image_path`` (a file), ``name`` (unique, stable: the path below the data set's root) and ``label_index``
            (0 good, 1 defective, -1 unknown); optionally ``split`` (train, calibration, test, or empty to be decided),
            ``mask_path``, ``zones_path``, ``annotation_path``, ``group`` (what a split must never cut; by default the
            image itself), ``kind`` (a sub-population), ``defect`` (its type), and any more.

    Raises:
        DataError: A column is missing, or a value is none of those.
    """
    if missing := [column for column in REQUIRED if column not in rows]:
        raise DataError(f"Expected a sample table with columns {', '.join(REQUIRED)}, but found no {missing[0]}.")
    table = rows.copy()
    for column, default in DEFAULTS.items():
        table[column] = table[column].fillna(default).astype(str) if column in table else default
    table["group"] = table["group"].where(table["group"] != "", table["name"])
    _check(table, "split", {*SPLITS, UNASSIGNED})
    _check(table, "label_index", set(LABEL_NAMES))
    table["label_index"] = table["label_index"].astype(int)
    if (twice := table["name"].duplicated()).any():
        raise DataError(
            f"Expected every picture once in the sample table, but found {table['name'][twice].iloc[0]} twice."
        )
    return table.sort_values("name", ignore_index=True)


def content_hash(table: pd.DataFrame) -> str:
    """Hash what a run depends on: the bytes of every image, and its label, split and group; not where it lies."""
    columns = ["name", "sha256", "label_index", "split", "group", "kind"]
    lines = table[columns].sort_values("name").to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def count_by_split(table: pd.DataFrame) -> pd.DataFrame:
    """Count images: one row per split, one column per label, and the number of groups."""
    counts = pd.DataFrame(
        {name: (table["label_index"] == index).groupby(table["split"]).sum() for index, name in LABEL_NAMES.items()}
    )
    counts["groups"] = table.groupby("split")["group"].nunique()
    return counts.reindex([split for split in SPLITS if split in counts.index])


def limit_table(table: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    """Keep at most ``limit`` images of every split and label, drawn from ``seed``: for quick tries."""
    shuffled = table.sample(frac=1.0, random_state=seed)
    return shuffled.groupby(["split", "label_index"], sort=False).head(limit).sort_values("name", ignore_index=True)


def _check(table: pd.DataFrame, column: str, allowed: set[str] | set[int]) -> None:
    wrong = ~table[column].isin(allowed)
    if wrong.any():
        row = table[wrong].iloc[0]
        names = ", ".join(repr(value) for value in sorted(allowed, key=str))
        raise DataError(f"Expected {column} to be one of {names}, but found {row[column]!r} for {row['name']}.")
