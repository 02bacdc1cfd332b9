"""Which files of a folder of events hold what, by the ends of their names; needs no torch."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TEST, ROW = ".test", ".hparams"
"""End the names of files with the results of a test, and with a row of the HParams tab; both can be written anew."""


def forget_results(folder: Path) -> None:
    """Remove what an earlier test wrote: a scalar stands there once."""
    for old in folder.glob(f"*{TEST}"):
        old.unlink()
    (folder / "projector_config.pbtxt").unlink(missing_ok=True)
    for tensors in folder.glob("*/default/tensors.tsv"):
        shutil.rmtree(tensors.parent.parent)


def forget_row(folder: Path) -> None:
    """Remove the row of the HParams tab."""
    for old in folder.glob(f"*{ROW}"):
        old.unlink()


def only_results(folder: Path) -> bool:
    """Tell whether nothing but a test's results lies in a folder: the page of a trial was written later."""
    return all(path.name.endswith(TEST) for path in folder.glob("events*"))
