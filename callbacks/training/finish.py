"""A training that ends within an epoch still ends with a calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning import Callback

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer


class FinishWithCalibration(Callback):
    """Asks for a validation after the last step of ``max_steps``, wherever in an epoch that is.

    Lightning validates at the end of an epoch only, so that thresholds would be those of an earlier model, or none.
    """

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Stop as early stopping does, which validates first."""
        del pl_module, args
        if 0 <= trainer.max_steps <= trainer.global_step:
            trainer.should_stop = True
            trainer.check_val_every_n_epoch = 1
