"""TensorBoard while a model learns: chosen epochs alone, calibration images alone, and within the budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from anomalib.data import InferenceBatch
from lightning import Trainer
from lightning.pytorch.loggers import CSVLogger, Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from callbacks.decisions.calibration import Calibrate, Calibration
from callbacks.policies.f1 import F1
from callbacks.policies.normal import Normal
from callbacks.report.facts import Confusion
from callbacks.tracking.confusion_image import confusion_image
from callbacks.tracking.event_log import EpochLogger
from callbacks.training.epoch_pictures import EpochPictures, stride
from datamodules.folder import FolderDataModule
from models.base import InspectionModel

if TYPE_CHECKING:
    from pathlib import Path

    from datamodules.samples.batch import InspectionBatch


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        map_BHW = image_B3HW.mean(dim=1) * self.scale
        return InferenceBatch(pred_score=map_BHW.flatten(1).amax(dim=1), anomaly_map=map_BHW)


class ScaledModel(InspectionModel):
    """Learns a scale, which changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Scaled()
        self.post_processor = Calibration(F1(), Normal())

    def training_step(self, batch: InspectionBatch, batch_idx: int) -> Tensor:
        del batch_idx
        loss: Tensor = (self.model(batch.image).anomaly_map - 1).square().mean()
        self.log_loss(loss, batch)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1e-3)


def fit(root: Path, folder: Path, watcher: EpochPictures, loggers: list[Logger] | None = None) -> EventAccumulator:
    data = FolderDataModule(root=str(root), image_size=(40, 48), num_workers=0, calibration_share=0.4)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=4,
        callbacks=[Calibrate(), watcher],
        logger=[EpochLogger(folder)] if loggers is None else loggers,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    trainer.fit(ScaledModel(), data)
    return EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0, "scalars": 0}).Reload()


def test_chosen_epochs_are_logged_at_the_epoch_one_sheet_for_each_category(
    picture_folder: Path, tmp_path: Path
) -> None:
    events = fit(picture_folder, tmp_path, EpochPictures(every=2, pictures=2, budget=None))
    for tag in ("calibration/confusion", "calibration/miss", "calibration/false_alarm"):
        assert [event.step for event in events.Images(tag)] == [2, 4]
    assert [event.step for event in events.Tensors("calibration/image")] == [2, 4]
    assert len(events.Tags()["images"]) == 3


def test_scalars_stand_at_the_epoch_too_and_once(picture_folder: Path, tmp_path: Path) -> None:
    events = fit(picture_folder, tmp_path, EpochPictures(every=0))
    assert set(events.Tags()["scalars"]) == {
        *("train/loss", "calibration/objective", "calibration/pixel_objective"),
        *("calibration/image_threshold", "calibration/pixel_threshold"),
    }
    for tag in events.Tags()["scalars"]:
        assert [event.step for event in events.Scalars(tag)] == [1, 2, 3, 4]
        assert np.isfinite([event.value for event in events.Scalars(tag)]).all()


def test_a_short_training_is_logged_too_within_the_allowance(picture_folder: Path, tmp_path: Path) -> None:
    watcher = EpochPictures(pictures=1)
    events = fit(picture_folder, tmp_path, watcher)
    assert [event.step for event in events.Images("calibration/confusion")] == [1, 2, 3, 4]
    assert 0 < watcher.spent < watcher.allowance


def test_a_log_that_would_exceed_the_budget_is_passed_over(picture_folder: Path, tmp_path: Path) -> None:
    watcher = EpochPictures(every=1, pictures=1, budget=0.02, allowance=0)
    events = fit(picture_folder, tmp_path, watcher)
    assert "calibration/confusion" not in events.Tags()["images"]  # a training of a second has no time for it
    assert watcher.spent == 0


def test_none_are_logged_where_none_are_wanted(picture_folder: Path, tmp_path: Path) -> None:
    watcher = EpochPictures(every=0)
    assert "calibration/confusion" not in fit(picture_folder, tmp_path, watcher).Tags()["images"]
    assert watcher.spent == 0


def test_tensorboard_may_be_absent_or_stand_second(picture_folder: Path, tmp_path: Path) -> None:
    watcher = EpochPictures()
    fit(picture_folder, tmp_path, watcher, [])
    assert watcher.spent == 0
    other = [CSVLogger(tmp_path / "csv"), EpochLogger(tmp_path / "second")]
    events = fit(picture_folder, tmp_path / "second", EpochPictures(), other)
    assert "calibration/confusion" in events.Tags()["images"]


@pytest.mark.parametrize(("epochs", "every"), [(1, 1), (10, 1), (29, 1), (50, 2), (300, 15), (-1, 10), (None, 10)])
def test_a_training_is_logged_some_twenty_times(epochs: int | None, every: int) -> None:
    assert stride(epochs) == every


@pytest.mark.parametrize(
    "arguments", [{"every": -1}, {"pictures": -1}, {"budget": 0.0}, {"budget": 2.0}, {"allowance": -1}]
)
def test_numbers_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"Expected callbacks\.epoch_pictures"):
        EpochPictures(**arguments)  # type: ignore[arg-type]  # wrong on purpose


def test_a_fuller_cell_has_a_fuller_colour() -> None:
    picture = confusion_image(Confusion(tp=90, fp=0, tn=50, fn=10), "x").astype(int)
    found, missed, alarms, passed = picture[150, 190], picture[150, 310], picture[270, 190], picture[270, 310]
    assert found.sum() < missed.sum()
    assert passed.sum() < alarms.sum()
    assert found[2] > found[0]  # blue
    assert np.array_equal(confusion_image(Confusion(0, 0, 0, 0), "x").shape, picture.shape)
