"""The first lines of whatever is done with data: what was found, what must not be missed, what is not used and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.samples.left_out import reasons

if TYPE_CHECKING:
    from datamodules.base import InspectionDataModule


def first_lines(datamodule: InspectionDataModule) -> list[str]:
    """Say, in whole sentences, what a person has to know before anything is learnt from the data."""
    root = str(Path(datamodule.root).expanduser().resolve())
    return [*datamodule.remarks, *datamodule.described(), *datamodule.notes(), *reasons(datamodule.excluded, root)]
