"""What of anomalib 2.7 Loupe imports, overrides or sets: an upgrade that moves it must fail here, and say which."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import torch
from anomalib import LearningType
from anomalib.data import InferenceBatch
from anomalib.data.dataclasses.torch.image import ImageBatch
from anomalib.models.components import DynamicBufferMixin
from anomalib.models.components.base import AnomalibModule
from lightning import Callback, LightningModule
from torch import nn

from datamodules.samples.batch import InspectionBatch, Sample, collate
from models.base import InspectionModel

OURS = {
    "foreground",
    "frame",
    "classes",
    "part",
    "pred_type",
    "name",
    "label_index",
    "has_mask",
    "group",
    "kind",
    "zones",
    "target",
    "detections",
}


class Mean(nn.Module):
    """The least model there is: an image is as bad as it is bright."""

    def forward(self, image_B3HW: torch.Tensor) -> InferenceBatch:
        map_BHW = image_B3HW.mean(dim=1)
        return InferenceBatch(pred_score=map_BHW.mean(dim=(1, 2)), anomaly_map=map_BHW)


class Threshold(nn.Module):
    """Stands where the calibration stands."""

    def forward(self, predictions: InferenceBatch) -> InferenceBatch:
        assert predictions.pred_score is not None
        return predictions._replace(pred_label=predictions.pred_score >= 0.5)


class Bright(InspectionModel):
    """A whole model in three lines."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Mean()


def two_pictures() -> InspectionBatch:
    pictures = (torch.full((3, 4, 4), 0.2), torch.full((3, 4, 4), 0.8))
    return collate([Sample(image, f"{index}.png", f"/{index}.png", index) for index, image in enumerate(pictures)])


def test_a_prediction_has_four_fields_in_this_order() -> None:
    assert InferenceBatch._fields == ("pred_score", "pred_label", "anomaly_map", "pred_mask")
    assert InferenceBatch()._asdict() == dict.fromkeys(InferenceBatch._fields)


def test_the_batch_has_the_fields_that_ours_extends() -> None:
    theirs = {field.name for field in fields(ImageBatch)}
    assert {"image", "image_path", "gt_label", "gt_mask", *InferenceBatch._fields} <= theirs
    assert not OURS & theirs  # a field of the same name would be validated as theirs
    assert {field.name for field in fields(InspectionBatch)} == theirs | OURS


def test_fields_that_the_batch_inherits_are_still_validated() -> None:
    """Under TYPE_CHECKING ours are declared anew; at run time they must be theirs."""
    batch = two_pictures()
    batch.pred_score = torch.ones(2)
    batch.anomaly_map = torch.ones(2, 1, 4, 4)
    assert batch.anomaly_map.shape == (2, 4, 4)
    assert batch.gt_label.dtype == torch.bool


def test_a_module_needs_none_of_the_components() -> None:
    names = inspect.signature(AnomalibModule.__init__).parameters
    assert {"pre_processor", "post_processor", "evaluator", "visualizer"} <= set(names)
    module = Bright()
    assert module.pre_processor is None
    assert module.post_processor is None
    assert module.evaluator is None
    assert module.visualizer is None
    assert module.configure_callbacks() == []


def test_what_is_overridden_exists() -> None:
    for name in ("learning_type", "trainer_arguments", "validation_step", "test_step", "predict_step", "forward"):
        assert hasattr(AnomalibModule, name)
    assert AnomalibModule.__abstractmethods__ <= {"learning_type", "trainer_arguments"}
    assert issubclass(AnomalibModule, LightningModule)
    assert Bright().learning_type is LearningType.ONE_CLASS


def test_the_post_processor_decides_in_forward_and_nowhere_else() -> None:
    module = Bright().eval()
    module.post_processor = Threshold()
    assert not isinstance(module.post_processor, Callback)
    calibration, test, predicted = (
        module.validation_step(two_pictures()),
        module.test_step(two_pictures()),
        module.predict_step(two_pictures()),
    )
    assert calibration.pred_label is None
    assert test.pred_label.tolist() == predicted.pred_label.tolist() == [False, True]
    for done in (calibration, test, predicted):
        torch.testing.assert_close(done.pred_score, torch.tensor([0.2, 0.8]))
        assert done.anomaly_map.shape == (2, 4, 4)


def test_a_step_writes_into_the_batch_it_was_given() -> None:
    batch = two_pictures()
    assert Bright().test_step(batch) is batch
    assert batch.pred_score is not None


def test_a_module_is_saved_as_plain_values() -> None:
    module = Bright()
    checkpoint: dict[str, Any] = {}
    module.on_save_checkpoint(checkpoint)
    assert all(isinstance(value, dict | str | type(None)) for value in checkpoint.values())
    assert set(module.state_dict()) == set()


def test_dynamic_buffers_take_the_size_of_what_they_load() -> None:
    class Bank(DynamicBufferMixin, nn.Module):
        bank: torch.Tensor
        index: torch.Tensor

        def __init__(self, size: int) -> None:
            super().__init__()
            self.register_buffer("bank", torch.zeros(size, 2))
            self.register_buffer("index", torch.zeros(0, 0, dtype=torch.int64))

    large = Bank(7)
    large.bank = torch.rand(7, 2)
    large.index = torch.arange(6).reshape(2, 3)
    small = Bank(0)
    small.load_state_dict(large.state_dict())
    assert torch.equal(small.bank, large.bank)
    assert torch.equal(small.index, large.index)
    assert "_load_from_state_dict" in vars(DynamicBufferMixin)
