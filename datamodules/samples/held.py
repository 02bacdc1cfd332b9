"""Splits that an earlier run had, held for a later one: old test images stay the test, whatever is added."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.errors import DataError, UnreadableImageError
from datamodules.table import CALIBRATION, TEST, TRAIN, UNASSIGNED, read_table

from .split import join_copies

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = "samples.csv"
HELD_BACK = (CALIBRATION, TEST)  # what must not grow either


def read_earlier(path: str) -> pd.DataFrame:
    """Read the sample table of a run.

    Args:
        path: The run's folder, or the table itself.

    Raises:
        DataError: There is none.
    """
    place = Path(path).expanduser()
    file = place / SAMPLES if place.is_dir() else place
    if not file.is_file():
        raise DataError(f"Expected data.split_from to be a run with {SAMPLES}, but found none at {path}.")
    table = read_table(file)
    if missing := {"sha256", "split", "group"} - set(table):
        raise DataError(f"Expected {file} to have the column {min(missing)}, but found none; train that run again.")
    return table


def hold_splits(
    table: pd.DataFrame, earlier: pd.DataFrame, name: str
) -> tuple[pd.DataFrame, list[UnreadableImageError], list[str]]:
    """Give every image the split that it had in an earlier run, and new images to training.

    Images are the same where their bytes are. Test and calibration images stay exactly those that are left of the
    earlier ones: a new image goes into neither, and is left out where its group is in one of them, or its own split
    says so.

    Args:
        table: Complete and surveyed.
        earlier: Table of the earlier run.
        name: What to call that run.

    Returns:
        The rows that are used, with a split each; what was left out; and sentences that say how many there are of each.

    Raises:
        DataError: No test image of the earlier run is there.
    """
    table = table.assign(group=join_copies(table))
    held = table["sha256"].map(earlier.drop_duplicates("sha256").set_index("sha256")["split"]).fillna(UNASSIGNED)
    new = held == UNASSIGNED
    groups = dict(zip(earlier["group"], earlier["split"], strict=True))
    groups |= dict(zip(table["group"][~new], held[~new], strict=True))
    bound = table["group"].map(groups).fillna(UNASSIGNED)
    out = new & (bound.isin(HELD_BACK) | table["split"].isin(HELD_BACK))
    problems = [
        UnreadableImageError(path, f"is new beside the {split or own} images of {name}", "drop data.split_from for it")
        for path, split, own in zip(table["image_path"][out], bound[out], table["split"][out], strict=True)
    ]
    table = table.assign(split=held.where(~new, TRAIN))[~out].reset_index(drop=True)
    here = {split: int(((held == split) & ~new).sum()) for split in HELD_BACK}
    before = {split: int((earlier["split"] == split).sum()) for split in HELD_BACK}
    if not here[TEST]:
        raise DataError(
            f"Expected test images of {name} in this data, byte by byte, but found none of its {before[TEST]}; set "
            "data.root to the folder that has them, or drop data.split_from."
        )
    there = " and ".join(f"{here[split]} of its {before[split]} {split} images" for split in reversed(HELD_BACK))
    added = int((new & ~out).sum())
    return table, problems, [f"Splits are those of {name}: {there} are here; {added} new images go to training."]
