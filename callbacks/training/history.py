"""The history of a training: every logged value by epoch, in a table that survives a kill and goes on after it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from lightning import Callback

from callbacks.tracking.event_log import epoch_of
from datamodules.files.whole_files import write_whole

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer

CALIBRATION = "calibration/"


class History(Callback):
    """Writes ``history.csv`` anew after every epoch: one row per epoch, counted from 1, one column per logged value.

    A training that goes on keeps the rows of the epochs that it does not repeat.

    Args:
        path: Where to write.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._rows: dict[int, dict[str, float]] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over what an earlier process wrote of the epochs before the one that comes."""
        del pl_module
        self._rows = {epoch: row for epoch, row in read_rows(self.path).items() if epoch < epoch_of(trainer)}

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what calibration logged."""
        del pl_module
        self._note(trainer, {name for name in trainer.callback_metrics if name.startswith(CALIBRATION)})

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what training logged; what calibration logged may be of an earlier epoch by now."""
        del pl_module
        self._note(trainer, {name for name in trainer.callback_metrics if not name.startswith(CALIBRATION)})

    def _note(self, trainer: Trainer, names: set[str]) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items() if name in names}
        self._rows.setdefault(epoch_of(trainer), {}).update(values)
        write_rows(self.path, self._rows)


def read_rows(path: Path) -> dict[int, dict[str, float]]:
    """Read logged values by epoch, without those that an epoch lacks; empty where there is no table."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {
            int(row.pop("epoch")): {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(file)
        }


def write_rows(path: Path, rows: dict[int, dict[str, float]]) -> None:
    """Write logged values by epoch, so that the table is whole at any moment."""
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("epoch")
    write_whole(path, table.to_csv().encode())
