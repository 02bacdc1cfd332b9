"""The course of a training: which epoch was kept and why, from a run's history and its calibrated network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from callbacks.decisions.calibration import OBJECTIVE, PIXEL_OBJECTIVE, calibration_of
from callbacks.measures.coco import MONITOR as MASK_AP
from callbacks.measures.learning import Rivals, how_it_went, image_rivals, separability
from callbacks.training.history import read_rows
from datamodules.table import CALIBRATION

if TYPE_CHECKING:
    from datamodules.base import InspectionDataModule
    from models.base import InspectionModel

    from .run_folder import RunFolder

SECTION = "training"
"""Of metrics.json."""


def training_section(
    folder: RunFolder, module: InspectionModel, datamodule: InspectionDataModule, kept_epoch: int
) -> dict[str, Any]:
    """Look back on a training, for metrics.json; empty for a model that looks at its images once: it has no epochs.

    Args:
        folder: Of the run, with its history.
        module: With the state of the kept epoch.
        datamodule: Of the run.
        kept_epoch: Counted from 1.
    """
    if not module.has_epochs:
        return {}
    rivals = find_rivals(module, datamodule)
    return how_it_went(read_rows(folder.history), kept_epoch, module.monitor, rivals).to_dict()


def find_rivals(module: InspectionModel, datamodule: InspectionDataModule) -> Rivals:
    """Find what the network's objective has to be better than."""
    calibration = calibration_of(module)
    if module.monitor == PIXEL_OBJECTIVE:
        return Rivals(chance=calibration.pixel_chance())
    if module.monitor == MASK_AP:
        return Rivals(chance=0.0)
    if module.monitor != OBJECTIVE:
        return Rivals()
    samples = datamodule.split_samples(CALIBRATION)
    brightness_N = samples["brightness"].to_numpy(np.float64)
    brightness = separability(brightness_N, samples["label_index"].to_numpy(np.int64))
    scores = calibration.scores
    return image_rivals([seen.score for seen in scores], [seen.label_index for seen in scores], brightness)
