"""TensorBoard with one clock: what is logged during a training stands at its epoch, counted from 1.

Lightning counts batches, so that a loss and the image of the same moment have different steps, and "Link by step" links
nothing. Here the step of scalars, images and curves is the epoch: row 7 of ``history.csv``, epoch 7 of the report.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import cv2
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    from lightning import Trainer
    from torch.utils.tensorboard import FileWriter, SummaryWriter


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


def log_image(writer: SummaryWriter, tag: str, image: npt.NDArray[np.uint8], epoch: int) -> None:
    """Log an image, grey (H, W) or RGB (H, W, 3); packed lightly, since torch's packing takes most of a log's time."""
    height, width, *channels = image.shape
    shown = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if channels else image
    _, encoded = cv2.imencode(".png", shown, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    content = Summary.Image(
        height=height, width=width, colorspace=3 if channels else 1, encoded_image_string=encoded.tobytes()
    )
    events = cast("FileWriter", writer.file_writer)  # torch's own type says None, which it is never
    events.add_summary(Summary(value=[Summary.Value(tag=tag, image=content)]), epoch)


def epoch_of(trainer: Trainer) -> int:
    """Return the epoch that runs, counted from 1."""
    return trainer.current_epoch + 1
