"""Which epoch of a training is kept: the best by calibration, and of equals the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import ModelCheckpoint

if TYPE_CHECKING:
    from lightning import Trainer
    from torch import Tensor


class BestCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint with the highest monitored value; of several with that value, the last.

    Lightning keeps the first. Where a few calibration pictures are told apart from the first epoch on, that would be a
    network that has hardly learnt: an autoencoder that reconstructs nothing yet, for example.
    """

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        """Tell whether an epoch's value is as high as the best so far, or higher."""
        as_high = current is not None and self.best_model_score is not None and bool(current == self.best_model_score)
        # Every process must hear the same question, or those of several GPUs would wait for each other.
        agreed = trainer.strategy.reduce_boolean_decision(as_high)
        return super().check_monitor_top_k(trainer, current) or agreed
