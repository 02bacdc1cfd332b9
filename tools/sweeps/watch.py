"""What a sweep watches in a training: the objective by epoch, on what it rests, and how fast the model is."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from lightning import Callback

from callbacks.decisions.calibration import calibration_of
from callbacks.statistics.intervals import image_intervals

from .timing import TIMED, Timed, milliseconds

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer
    from torch import Tensor, nn

    from datamodules.samples.batch import InspectionBatch
    from models.sharing.shared_work import SharedWork

    from .task import Report


class Watch(Callback):
    """Reports every epoch's objective, which may end the trial, and times the model where nothing is shared.

    Args:
        report: Is told (epoch, objective).
        work: Shared with other trials; None: nothing.

    Attributes:
        objective: Of the best epoch so far: AUROC of the calibration images; None where they are all of one class.
        interval: Its ends, at 95 %.
        milliseconds: Of the model per image; NaN until the training has ended.
    """

    def __init__(self, report: Report, work: SharedWork | None) -> None:
        self.objective: float | None = None
        self.interval: tuple[float, float] | None = None
        self.milliseconds = float("nan")
        self._monitored = -float("inf")
        self._report = report
        self._work = work
        self._image_B3HW: Tensor | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Share no features of epochs whose batches never come again."""
        del pl_module
        self._pause(trainer.max_epochs != 1)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Share those of calibration images: their batches are the same in every epoch and trial."""
        del trainer, pl_module
        self._pause(False)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: InspectionBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep a few images to time the model with."""
        del trainer, pl_module, outputs, batch_idx, dataloader_idx
        if self._image_B3HW is None:
            self._image_B3HW = batch.image[:TIMED].clone()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the objective of the epoch."""
        calibration = calibration_of(pl_module)
        value = calibration.objective()
        if value is None:
            return
        monitored = float(trainer.callback_metrics.get(str(pl_module.monitor), -float("inf")))
        if monitored >= self._monitored:  # as the checkpoint is chosen: of equals the last
            self._monitored, self.objective = monitored, value
            score_N = np.array([seen.score for seen in calibration.scores])
            label_N = np.array([seen.label_index for seen in calibration.scores])
            found = image_intervals(score_N, label_N, np.arange(len(score_N)).astype(str))["auroc"]
            self.interval = (found.low, found.high)
        self._report(trainer.current_epoch, value)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Time the model; the test cannot, where it reads what other trials computed."""
        del trainer
        if self._image_B3HW is None:
            return
        self._pause(True)
        network = cast("nn.Module", pl_module.eval().model)
        self.milliseconds = milliseconds([Timed(network, self._image_B3HW)], rounds=1)[0].fastest
        self._image_B3HW = None
        self._pause(False)

    def _pause(self, paused: bool) -> None:
        if self._work is not None:
            self._work.paused = paused
