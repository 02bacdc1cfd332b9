"""A row of TensorBoard's HParams tab: what was chosen for a run; what came of it are the scalars beside it.

TensorBoard puts the rows of all runs together by itself, as long as none of them describes the whole table: of several
such descriptions it takes the first, and the others' keys and figures are not shown. So none is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.utils.tensorboard import FileWriter
from torch.utils.tensorboard.summary import hparams, scalar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUFFIX = ".hparams"
"""Ends the names of the files that hold rows, so that a row can be written anew."""

Value = float | str


def write_row(
    folder: Path, chosen: Mapping[str, str | float | bool | None], figures: Mapping[str, float] | None = None
) -> None:
    """Write the row of a run in place of any that is there.

    Args:
        folder: Of the run's events.
        chosen: Values by key; None is left out.
        figures: Scalars that the run's own events lack.
    """
    for old in folder.glob(f"*{SUFFIX}"):
        old.unlink()
    values = {key: _plain(value) for key, value in chosen.items() if value is not None}
    _, start, end = hparams(values, {})  # type: ignore[no-untyped-call]  # torch's has no types
    writer = FileWriter(str(folder), filename_suffix=SUFFIX)
    writer.add_summary(start)
    writer.add_summary(end)
    for name, value in (figures or {}).items():
        writer.add_summary(scalar(name, value), 1)  # type: ignore[no-untyped-call]  # as above
    writer.close()


def _plain(value: str | float | bool) -> Value:
    """Numbers as numbers, all else as text: torch would write false as 0."""
    return str(value).lower() if isinstance(value, bool) else value
