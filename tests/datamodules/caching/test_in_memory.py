"""Samples kept in memory: bit for bit what reading gives, each read once, never more than fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from datamodules.caching.in_memory import DatasetInMemory, SampleCache, keeping
from datamodules.synthetic.datamodule import SyntheticDataModule

if TYPE_CHECKING:
    from pathlib import Path

    from datamodules.samples.batch import InspectionBatch


def drawn(tmp_path: Path, **changes: object) -> SyntheticDataModule:
    data = SyntheticDataModule(root=str(tmp_path / "d"), domain="oring", size=64, good=40, defective=8)
    for name, value in {"num_workers": 0, "batch_size": 4, "instances": True, **changes}.items():
        setattr(data, name, value)
    data.setup()
    return data


def batches(data: SyntheticDataModule) -> list[InspectionBatch]:
    return [batch for load in (data.train_dataloader, data.test_dataloader) for batch in load()]


def same(one: InspectionBatch, other: InspectionBatch) -> bool:
    pairs = [(one.image, other.image), (one.gt_mask, other.gt_mask), (one.label_index, other.label_index)]
    for left, right in zip(one.target, other.target, strict=True):
        pairs += [(left[key], right[key]) for key in left.keys() | right.keys()]
    return one.name == other.name and all(torch.equal(left, right) for left, right in pairs)


@pytest.mark.parametrize("size", [(64, 64), (48, 40)])
def test_kept_pictures_are_the_read_ones(tmp_path: Path, size: tuple[int, int]) -> None:
    plain = batches(drawn(tmp_path, image_size=size))
    kept = SampleCache(2**24)
    with keeping(kept):
        for _ in range(2):  # kept the first time, found the second
            found = batches(drawn(tmp_path, image_size=size))
            assert all(same(one, other) for one, other in zip(found, plain, strict=True))
            for batch in found:
                batch.target[0]["boxes"].zero_()  # what a model does to its batch is its own affair
                batch.image.zero_()
    assert len(kept) == sum(len(batch) for batch in plain)


def test_another_size_or_way_of_reading_is_another_picture(tmp_path: Path) -> None:
    kept = SampleCache(2**24)
    with keeping(kept):
        batches(drawn(tmp_path, image_size=(64, 64)))
        before = len(kept)
        batches(drawn(tmp_path, image_size=(64, 64), white_level=200.0))
        assert len(kept) == 2 * before
        assert batches(drawn(tmp_path, image_size=(32, 32)))[0].image.shape[-2:] == (32, 32)


def test_no_more_is_kept_than_fits(tmp_path: Path) -> None:
    data = drawn(tmp_path, image_size=(64, 64))
    table = data.samples
    kept = SampleCache(5 * 64 * 64 * 4)
    dataset = DatasetInMemory(data.dataset(table), [str(index) for index in range(len(table))], kept)
    for index in range(len(dataset)):
        assert torch.equal(dataset[index].image, data.dataset(table)[index].image)
    assert 0 < len(kept) < len(table)
    assert kept.size <= kept.limit_bytes
