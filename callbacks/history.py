"""The history of a training: every logged value by epoch, in a table that survives a kill."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from lightning import Callback

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer


class History(Callback):
    """Writes ``history.csv`` anew after every epoch: one row per epoch, one column per logged value.

    Args:
        path: Where to write.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._rows: dict[int, dict[str, float]] = {}

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what calibration logged."""
        self._note(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what training logged."""
        self._note(trainer, pl_module)

    def _note(self, trainer: Trainer, pl_module: LightningModule) -> None:
        del pl_module
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._rows.setdefault(trainer.current_epoch, {}).update(values)
        table = pd.DataFrame.from_dict(self._rows, orient="index").rename_axis("epoch")
        table.to_csv(self.path)
