"""Progress of training: Lightning's bar in a terminal, a plain line now and then in a log."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from lightning import Callback
from lightning.pytorch.callbacks import TQDMProgressBar

from datamodules.progress import LINE_EVERY_S, is_terminal

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer


class PlainProgress(Callback):
    """Writes a line to standard error when a stage lasts, at most one every ten seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._seen = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Start counting."""
        del trainer, pl_module, stage
        self._last = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tell how far the epoch is."""
        del pl_module, outputs, batch
        stage = f"training, epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
        self._tell(stage, batch_idx, trainer.num_training_batches)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *args: Any
    ) -> None:
        """Tell how far calibration is."""
        del pl_module, outputs, batch, args
        self._tell("calibrating", batch_idx, sum(trainer.num_val_batches))

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *args: Any
    ) -> None:
        """Tell how far the test is."""
        del pl_module, outputs, batch, args
        self._tell("testing", batch_idx, sum(trainer.num_test_batches))

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *args: Any
    ) -> None:
        """Tell how far predicting is."""
        del pl_module, outputs, batch, args
        self._tell("predicting", batch_idx, sum(trainer.num_predict_batches))

    def _tell(self, stage: str, batch_idx: int, batches: float) -> None:
        now = time.monotonic()
        if now - self._last >= LINE_EVERY_S:
            self._last = now
            sys.stderr.write(f"{stage}: batch {batch_idx + 1} of {batches:.0f}\n")


class Bar(TQDMProgressBar):
    """Lightning's bar, with epochs counted from 1 as everywhere else."""

    def on_train_epoch_start(self, trainer: Trainer, *args: Any) -> None:
        """Begin anew, and name the epoch."""
        del args
        most = trainer.max_epochs
        of = f" of {most}" if most is not None and most > 0 else ""
        self.train_progress_bar.reset(self.total_train_batches)
        self.train_progress_bar.initial = 0
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}{of}")


def progress_callback() -> Callback:
    """Choose the kind of progress that suits where standard error goes."""
    return Bar(leave=False) if is_terminal() else PlainProgress()
