"""The order of training images, and how augmentation varies them: seed and epoch alone decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler
from torchvision.transforms import v2

from datamodules.samples.augment import AugmentedDataset
from datamodules.samples.batch import Sample
from datamodules.samples.loading import make_loader
from datamodules.samples.order import SeededOrder, order_of
from datamodules.samples.sized import SizedDataset

if TYPE_CHECKING:
    from collections.abc import Sequence

COUNT = 23


class Grey(SizedDataset[Sample]):
    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> Sample:
        return Sample(torch.full((3, 8, 8), (index + 1) / 30), str(index), str(index), 0)


def images(samples: Sequence[Sample]) -> torch.Tensor:
    return torch.stack([sample.image for sample in samples])


def varied(workers: int, epochs: int, first: int = 0) -> list[torch.Tensor]:
    dataset = AugmentedDataset(Grey(), [v2.ColorJitter(brightness=(0.2, 2.0))], seed=4)
    loader = make_loader(dataset, 5, workers, images, seed=4, epoch=first)
    torch.manual_seed(workers)  # whatever else was drawn plays no part
    return [torch.cat(list(loader)) for _ in range(epochs)]


@pytest.mark.parametrize("seed", [0, 3, 2**40])
def test_the_first_epoch_has_the_order_of_torchs_own_loader(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    numbers = list(range(COUNT))
    sampler = RandomSampler(numbers, generator=generator)
    torchs: DataLoader[int] = DataLoader(numbers, COUNT, sampler=sampler, generator=generator)  # type: ignore[arg-type]  # a list will do
    assert next(iter(torchs)).tolist() == order_of(COUNT, seed, 0)


def test_epochs_have_orders_of_their_own_and_can_be_entered_anywhere() -> None:
    sampler = SeededOrder(COUNT, 7)
    passes = [list(sampler) for _ in range(4)]
    assert all(sorted(one) == list(range(COUNT)) for one in passes)
    assert len({tuple(one) for one in passes}) == 4
    assert list(SeededOrder(COUNT, 7, 2)) == passes[2]
    sampler.set_epoch(1)
    assert list(sampler) == passes[1]
    assert list(SeededOrder(COUNT, 7, 3, counted=True)) == [3 * COUNT + index for index in passes[3]]


def test_augmentation_does_not_depend_on_who_loads_nor_on_where_training_began() -> None:
    alone = varied(0, 3)
    assert not torch.equal(alone[0].sort(0).values, alone[1].sort(0).values)
    for one, other in zip(alone, varied(2, 3), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(varied(2, 1, first=2)[0], alone[2])


def test_augmentation_leaves_the_draws_of_models_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    _ = AugmentedDataset(Grey(), [v2.ColorJitter(brightness=(0.2, 2.0))])[1]
    assert torch.equal(torch.rand(3), expected)
