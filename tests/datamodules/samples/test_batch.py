from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from anomalib.data import InferenceBatch
from lightning.pytorch.utilities import move_data_to_device
from torchvision.tv_tensors import Image, Mask

from datamodules.samples.batch import InspectionBatch, Sample, collate


def sample(index: int, label: int = 0, *, mask: bool = False, zones: bool = False) -> Sample:
    generator = torch.Generator().manual_seed(index)
    return Sample(
        image=torch.rand(3, 6, 5, generator=generator),
        name=f"{index}.png",
        image_path=f"/data/{index}.png",
        label_index=label,
        mask=torch.rand(6, 5, generator=generator) > 0.5 if mask else None,
        zones=torch.full((6, 5), index, dtype=torch.uint8) if zones else None,
        group=f"g{index}",
        kind="k",
    )


def test_a_batch_stacks_what_its_samples_hold() -> None:
    samples = [sample(0), sample(1, 1, mask=True), sample(2, 1), sample(3, -1)]
    batch = collate(samples)
    assert len(batch) == 4
    assert batch.image.shape == (4, 3, 6, 5)
    assert batch.image.dtype == torch.float32
    assert torch.equal(batch.image, torch.stack([some.image for some in samples]))
    assert batch.name == ["0.png", "1.png", "2.png", "3.png"]
    assert batch.image_path == ["/data/0.png", "/data/1.png", "/data/2.png", "/data/3.png"]
    assert batch.group == ["g0", "g1", "g2", "g3"]
    assert batch.kind == ["k"] * 4
    assert isinstance(batch.image, Image)
    assert isinstance(batch.gt_mask, Mask)


def test_labels_may_be_known_for_some_and_not_for_others() -> None:
    for order in ([0, 1, -1], [-1, 1, 0], [1, -1, 0]):  # anomalib's own collation heeds the first one only
        batch = collate([sample(index, label) for index, label in enumerate(order)])
        assert batch.label_index.tolist() == order
        assert batch.label_index.dtype == torch.int64
        assert batch.gt_label.tolist() == [label == 1 for label in order]


def test_the_truth_of_pixels_is_known_for_good_pictures_and_where_there_is_a_mask() -> None:
    batch = collate([sample(0), sample(1, 1, mask=True), sample(2, 1), sample(3, -1), sample(4, 0, mask=True)])
    assert batch.has_mask.tolist() == [True, True, False, False, True]
    assert batch.gt_mask.shape == (5, 6, 5)
    assert batch.gt_mask.dtype == torch.bool
    assert batch.gt_mask.flatten(1).any(dim=1).tolist() == [False, True, False, False, True]
    mask = sample(1, 1, mask=True).mask
    assert mask is not None
    assert torch.equal(batch.gt_mask[1], mask)


def test_zones_are_zero_where_nobody_gave_any() -> None:
    batch = collate([sample(1, zones=True), sample(2)])
    assert batch.zones.dtype == torch.uint8
    assert batch.zones.flatten(1).unique(dim=1).tolist() == [[1], [0]]
    assert collate([sample(1), sample(2)]).zones is None


def test_targets_travel_where_any_picture_has_one() -> None:
    target = {"boxes": torch.ones(2, 4), "labels": torch.tensor([1, 2])}
    with_target = [replace(sample(index), target=target) for index in range(2)]
    assert collate([sample(2)]).target is None
    batch = collate([*with_target, sample(2)])
    assert [entry and entry["labels"].tolist() for entry in batch.target] == [[1, 2], [1, 2], None]
    assert batch.to("cpu").target[2] is None


def test_a_batch_of_one_keeps_its_dimensions() -> None:
    batch = collate([sample(0, 1, mask=True, zones=True)])
    assert batch.image.shape == (1, 3, 6, 5)
    assert batch.gt_mask.shape == (1, 6, 5)
    assert batch.zones.shape == (1, 6, 5)
    assert batch.gt_label.shape == batch.label_index.shape == batch.has_mask.shape == (1,)


def full_batch() -> InspectionBatch:
    batch = collate([sample(0, zones=True), sample(1, 1, mask=True, zones=True)])
    prediction = InferenceBatch(
        torch.rand(2), torch.tensor([False, True]), torch.rand(2, 6, 5), torch.ones(2, 6, 5) > 0
    )
    for name, value in prediction._asdict().items():
        setattr(batch, name, value)
    batch.target = [{"boxes": torch.ones(1, 4)}, {"boxes": torch.zeros(0, 4)}]
    batch.detections = [{"scores": torch.ones(1)}, {"scores": torch.zeros(0)}]
    return batch


TENSORS = ("image", "gt_label", "gt_mask", "label_index", "has_mask", "zones")
PREDICTIONS = ("pred_score", "pred_label", "anomaly_map", "pred_mask")


def test_every_tensor_moves_and_everything_else_stays() -> None:
    """The meta device is a real other device that every machine has."""
    batch = full_batch()
    for moved in (batch.to("meta"), move_data_to_device(batch, torch.device("meta"))):
        assert isinstance(moved, InspectionBatch)
        for name in (*TENSORS, *PREDICTIONS):
            assert getattr(moved, name).device.type == "meta"
        assert moved.target[0]["boxes"].device.type == "meta"
        assert moved.detections[1]["scores"].device.type == "meta"
        assert moved.name == batch.name
        assert batch.image.device.type == "cpu"


def test_a_move_to_where_it_is_changes_nothing() -> None:
    batch = full_batch()
    moved = move_data_to_device(batch, torch.device("cpu"))
    for field in fields(batch):
        before, after = getattr(batch, field.name), getattr(moved, field.name)
        if isinstance(before, torch.Tensor):
            assert torch.equal(before, after)
            assert before.dtype == after.dtype
            assert type(before) is type(after)
    assert moved.kind == batch.kind
    assert torch.equal(moved.detections[0]["scores"], batch.detections[0]["scores"])


@pytest.mark.gpu
def test_a_pinned_batch_moves_to_the_gpu() -> None:
    pinned = full_batch().pin_memory()
    assert all(getattr(pinned, name).is_pinned() for name in TENSORS)
    assert move_data_to_device(pinned, torch.device("cuda")).image.is_cuda
