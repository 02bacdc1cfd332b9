"""TensorBoard with one clock: what is logged during a training stands at its epoch, counted from 1.

Lightning counts batches, so that a loss and the image of the same moment have different steps, and "Link by step" links
nothing. Here the step of scalars, images and curves is the epoch: row 7 of ``history.csv``, epoch 7 of the report.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lightning.pytorch.loggers import TensorBoardLogger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lightning import Trainer
    from torch.utils.tensorboard import SummaryWriter


class EpochLogger(TensorBoardLogger):
    """Writes the scalars of every epoch at that epoch, and nothing that a chart cannot show.

    Args:
        folder: Of the events.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.parent, name=folder.name, version="", default_hp_metric=False)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write values; Lightning names the epoch among them, counted from 0, unless it was given a step."""
        if "epoch" in metrics:
            step = int(metrics["epoch"]) + 1
        shown = {name: value for name, value in metrics.items() if name != "epoch" and math.isfinite(value)}
        super().log_metrics(shown, step)

    def save(self) -> None:
        """Let readers see what was logged; Lightning would add an empty ``hparams.yaml``."""
        self.experiment.flush()


def writer_of(trainer: Trainer) -> SummaryWriter | None:
    """Return what writes TensorBoard's events; None where no logger of a trainer does."""
    loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return loggers[0].experiment if loggers else None


def epoch_of(trainer: Trainer) -> int:
    """Return the epoch that runs, counted from 1."""
    return trainer.current_epoch + 1
