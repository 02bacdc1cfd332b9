"""What the doctor calls a problem of a data set, as far as the sample table tells: said beside every result.

Letters: N images.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from datamodules.health.duplicates import exact_copies
from datamodules.health.sequences import cut_groups
from datamodules.health.shortcuts import (
    Shortcut,
    find_shortcuts,
    measures,
    of_number,
    within_parts,
)
from datamodules.table import DEFECTIVE, GOOD, TEST, UNKNOWN

from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

SECTION = "data_problems"
ALL, TEST_SPLIT = "all pictures", "test split"


class DataProblems(ContextMeasure):
    """Examines the sample table of the run: numbers that tell the labels, contradicting copies, groups that are cut."""

    def result(self) -> Section:
        """``data_problems`` of metrics.json, a sentence each, which stand at the top of the page, too."""
        samples = self.tested.samples
        problems = [] if samples.empty or "sha256" not in samples else problems_of(with_sizes(samples))
        return Section(metrics={SECTION: problems} if problems else {}, notes=problems)


class Telling(NamedTuple):
    """Numbers that tell something about the labels.

    Attributes:
        grave: Whether one of them separates good from defective images.
        title: What they do.
        found: Their AUROCs.
        numbers: How many there are.
    """

    grave: bool
    title: str
    found: str
    numbers: int


def problems_of(table: pd.DataFrame) -> list[str]:
    """Say what is wrong with a surveyed sample table, in whole sentences."""
    problems = []
    telling = telling_numbers(shortcuts_of(table), lambda value: f"{value:.3f}")
    if telling is not None and telling.grave:
        problems.append(
            f"{telling.title} (AUROC, 1 or 0 where it never errs: {telling.found}): the "
            "result may rest on how the pictures were taken."
        )
    labels = table["label_index"].to_numpy()
    copies = [set(labels[rows].tolist()) for rows in exact_copies(table["sha256"].tolist())]
    if contradicting := sum({GOOD, DEFECTIVE} <= found for found in copies):
        problems.append(
            f"Files that are there more than once are called good and defective ({contradicting}): mend the labels."
        )
    if cut := cut_groups(table["group"].tolist(), table["split"].tolist()):
        problems.append(
            f"Groups lie in more than one split ({len(cut)}, such as {cut[0]}): what is tested was partly trained on."
        )
    return problems


def with_sizes(table: pd.DataFrame) -> pd.DataFrame:
    """Add the size of every file, where all are there and nobody looked yet."""
    if "file_bytes" in table:
        return table
    files = [Path(path) for path in table["image_path"]]
    try:
        return table.assign(file_bytes=[file.stat().st_size for file in files])
    except OSError:
        return table.assign(file_bytes=np.nan)


def shortcuts_of(table: pd.DataFrame) -> dict[str, list[Shortcut]]:
    """Measure shortcuts over all labelled images, over those of the test split, and for every type of defect."""
    values = numbers_of(table)
    label = table["label_index"].to_numpy(dtype=np.int64)
    test = np.where(table["split"] == TEST, label, UNKNOWN)
    found = {ALL: find_shortcuts(values, label), TEST_SPLIT: find_shortcuts(values, test)}
    types = sorted(set(table["defect"][label == DEFECTIVE]) - {""})
    for name in types if len(types) > 1 else []:
        of_type = (label != DEFECTIVE) | (table["defect"] == name).to_numpy()
        found[name] = find_shortcuts(values, np.where(of_type, label, UNKNOWN))
    return found


def numbers_of(table: pd.DataFrame) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return every single number of images as it is, and beside those of its group and its kind."""
    values = measures(table)
    return values | within_parts(values, table)


def telling_numbers(shortcuts: Mapping[str, Sequence[Shortcut]], write: Callable[[float], str]) -> Telling | None:
    """Name the numbers that separate the labels, or else those that lean to one; None: there are none.

    Args:
        shortcuts: As ``shortcuts_of`` gives them.
        write: How an AUROC is written.
    """
    ranked = sorted(
        ((one, where) for where, ones in shortcuts.items() for one in ones if one.separates or one.leans),
        key=lambda pair: -pair[0].separability,
    )
    grave = [pair for pair in ranked if pair[0].separates]
    telling = grave or ranked
    if not telling:
        return None
    whole = any(where in (ALL, TEST_SPLIT) for _, where in telling)  # types of defect speak where these say nothing
    best: dict[str, tuple[str, str]] = {}
    for one, where in telling:  # the most telling first
        name, how = of_number(one.measure)
        if where in (ALL, TEST_SPLIT) or not whole:
            best.setdefault(name, (f"{name} {write(one.auroc)}", f" ({where}{', ' if how else ''}{how})"))
    names = list(best)
    places = {place for _, place in best.values()}
    values = (
        ", ".join(value for value, _ in best.values()) + places.pop()
        if len(places) == 1
        else ", ".join(value + place for value, place in best.values())
    )
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    verb = "tells" if len(names) == 1 else "tell"
    extent = "good from defective pictures" if grave else "something about the labels"
    title = f"{listed[:1].upper()}{listed[1:]} alone {verb} {extent}"
    return Telling(bool(grave), title, values, len(names))
