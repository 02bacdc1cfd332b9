"""What calibration looks like while a model learns: curve, confusion matrix and the worst images, at chosen epochs.

Letters: N images of a batch.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from lightning import Callback

from callbacks.decisions.calibration import calibration_of
from callbacks.measures.examples import ExampleGallery
from callbacks.measures.proportions import in_proportion, sizes_of
from callbacks.report.facts import confusion
from callbacks.statistics.threshold_table import precision_recall_f1
from callbacks.tracking.confusion_image import confusion_image
from callbacks.tracking.event_log import epoch_of, log_image, writer_of
from callbacks.tracking.tensorboard import log_curve, log_examples
from datamodules.files.fitting import SQUASH
from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning import LightningModule, Trainer
    from torch.utils.tensorboard import SummaryWriter

    from callbacks.decisions.calibration import Calibration
    from callbacks.measures.examples import Example
    from datamodules.samples.batch import InspectionBatch

WORST = ("miss", "false_alarm")
LOGS = 20  # of a training that leaves their number open
FIRST_GUESS_S = 0.5  # that the first log takes, before anybody knows


class EpochPictures(Callback):
    """Logs the calibration of every n-th epoch to TensorBoard, and keeps what that costs within a budget.

    Only calibration images are shown: what a person watches while training, they choose by, and test images must
    not be chosen by. Which ones: the defective images with the lowest scores and the good ones with the highest.

    Args:
        every: Epochs from one log to the next; 0 logs none; None: as many as give some twenty logs.
        pictures: Of either kind.
        budget: Share of the training time so far that logging may take; an epoch whose log would exceed it is passed
            over. None: any time.
        allowance: Seconds that logging may take however short the training is; of processor time, which other programs
            do not stretch.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(
        self, every: int | None = None, pictures: int = 4, budget: float | None = 0.01, allowance: float = 5.0
    ) -> None:
        if min(every or 0, pictures, allowance) < 0 or (budget is not None and not 0 < budget <= 1):
            raise ValueError(
                "Expected callbacks.epoch_pictures.every, pictures and allowance to be 0 or more and budget to be "
                f"above 0 and at most 1, or null, but found {every}, {pictures}, {allowance} and {budget}."
            )
        self.every = every
        self.pictures = pictures
        self.budget = budget
        self.allowance = allowance
        self.spent = 0.0
        self._due = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        del trainer, pl_module
        self._started = time.perf_counter()
        self.spent, self._expected = 0.0, FIRST_GUESS_S

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Decide whether this epoch is logged."""
        del pl_module
        every = stride(trainer.max_epochs) if self.every is None else self.every
        chosen = every > 0 and epoch_of(trainer) % every == 0
        logs = trainer.state.fn == "fit" and writer_of(trainer) is not None
        self._due = logs and chosen and self._within_budget()
        self._before = self.spent
        self._gallery = ExampleGallery(self.pictures, WORST)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: InspectionBatch, *args: Any
    ) -> None:
        """Keep the worst images: as if every good one were a false alarm, and every defective one a miss."""
        del trainer, pl_module, args
        if self._due:
            start = time.thread_time()
            outputs.pred_label = outputs.label_index == GOOD
            self._gallery.update(outputs, [0.0] * len(outputs))
            outputs.pred_label = None
            self.spent += time.thread_time() - start

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log; thresholds have been chosen by now, since calibration stands before all other callbacks."""
        writer = writer_of(trainer)
        if not self._due or writer is None:
            return
        start = time.thread_time()
        data = getattr(trainer, "datamodule", None)
        sizes, fit = sizes_of(getattr(data, "samples", pd.DataFrame())), getattr(data, "fit", SQUASH)
        shown = tuple(in_proportion(one, sizes.get(one.name), fit) for one in self._gallery.examples())
        log_calibration(writer, calibration_of(pl_module), shown, epoch_of(trainer))
        self.spent += time.thread_time() - start
        self._expected = self.spent - self._before

    def _within_budget(self) -> bool:
        """Tell whether one more log, as long as the last, would stay within the budget."""
        elapsed = time.perf_counter() - self._started
        return self.budget is None or self.spent + self._expected <= max(self.allowance, self.budget * elapsed)


def stride(max_epochs: int | None) -> int:
    """Return the epochs from one log to the next, for some twenty logs of a training; 10 where its end is open."""
    return max(1, round(max_epochs / LOGS)) if max_epochs and max_epochs > 0 else 10


def log_calibration(writer: SummaryWriter, calibration: Calibration, examples: Sequence[Example], epoch: int) -> None:
    """Log every threshold as a precision-recall curve, the confusion matrix and the worst calibration images.

    Args:
        writer: Of TensorBoard's events.
        calibration: Of this epoch.
        examples: Its worst images.
        epoch: Counted from 1.
    """
    rows = pd.DataFrame(calibration.scores, columns=["score", "label_index", "map_max", "kind"])
    threshold_N = np.array(calibration.image_thresholds(rows["kind"].tolist()))
    called_N = rows["score"].to_numpy() >= threshold_N
    rows["verdict"] = [LABEL_NAMES[DEFECTIVE if called else GOOD] for called in called_N]
    log_curve(writer, "calibration/image", precision_recall_f1(rows["score"], rows["label_index"]), epoch)
    image = confusion_image(confusion(rows), f"calibration images, epoch {epoch}")
    log_image(writer, "calibration/confusion", image, epoch)
    log_examples(writer, "calibration", tuple(examples), calibration.map_range, epoch)
