"""The first lines of whatever is done with data: what was found, what must not be missed, what is not used and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.samples.left_out import reasons

if TYPE_CHECKING:
    from datamodules.base import InspectionDataModule

SHOWN = 2  # borrowed groups


def first_lines(datamodule: InspectionDataModule) -> list[str]:
    """Say, in whole sentences, what a person has to know before anything is learnt from the data."""
    root = str(Path(datamodule.root).expanduser().resolve())
    sentences = [*datamodule.remarks, *datamodule.described(), *datamodule.notes(), *_borrowed(datamodule)]
    return [*sentences, *reasons(datamodule.excluded, root)]


def _borrowed(datamodule: InspectionDataModule) -> list[str]:
    """Say which images are where they are because the set is, or was, small."""
    split_of = datamodule.samples.groupby("group")["split"].first()
    named = [f"{group} ({split_of[group]})" for group in datamodule.borrowed_groups if group in split_of]
    if not named:
        return []
    rest = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    borrowed = f"The set is small, or was: splits borrowed {', '.join(named[:SHOWN])}{rest}."
    return [f"{borrowed} Later trainings leave them there, as long as this run or a later one of these images is kept."]
