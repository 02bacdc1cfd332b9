"""Shared memory is looked at before processes fill it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from datamodules.samples import shared_memory
from datamodules.samples.batch import Sample
from datamodules.samples.loading import make_loader
from datamodules.samples.shared_memory import IN_HAND, PREFETCHED, Loaders, affordable, size_of
from datamodules.samples.sized import SizedDataset

if TYPE_CHECKING:
    from collections.abc import Sequence


class Images(SizedDataset[Sample]):
    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> Sample:
        return Sample(torch.zeros(3, 512, 512), str(index), str(index), 0, mask=torch.zeros(512, 512, dtype=torch.bool))


def as_list(samples: Sequence[Sample]) -> list[Sample]:
    return list(samples)


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
@pytest.mark.parametrize("batches", range(0, 60, 3))
def test_what_is_chosen_fits_and_is_no_less_than_could_be(batches: int, workers: int) -> None:
    size = 1000
    chosen = affordable(batches * size, size, workers)
    if not chosen.workers:
        assert batches < IN_HAND + 1
        return
    assert chosen.workers * chosen.prefetched + IN_HAND <= batches
    assert chosen.workers == workers or (chosen.workers + 1) + IN_HAND > batches
    assert chosen.prefetched == PREFETCHED or chosen.workers * (chosen.prefetched + 1) + IN_HAND > batches


def test_a_container_of_64_mb_loads_by_itself_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shared_memory, "free_bytes", lambda: 64 * 2**20)
    monkeypatch.setattr(shared_memory, "_warned", [])
    assert make_loader(Images(), 16, 4, as_list).num_workers == 0
    assert make_loader(Images(), 16, 4, as_list, seed=1).num_workers == 0
    shown = capsys.readouterr().err
    assert shown.count("loaded by the training itself, not by 4 processes") == 1
    assert "--shm-size" in shown


def test_where_there_is_room_nothing_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shared_memory, "free_bytes", lambda: 2**40)
    loader = make_loader(Images(), 16, 4, as_list)
    assert (loader.num_workers, loader.prefetch_factor) == (4, PREFETCHED)
    monkeypatch.setattr(shared_memory, "free_bytes", lambda: None)
    assert shared_memory.choose_loaders(Images(), 16, 4) == Loaders(4, PREFETCHED)
    assert not capsys.readouterr().err


def test_bytes_of_all_tensors_count() -> None:
    target = {"boxes": torch.zeros(2, 4), "masks": torch.zeros(2, 5, 5, dtype=torch.bool)}
    sample = Sample(torch.zeros(3, 5, 5), "a", "a", 0, target=target)
    assert size_of([sample, sample]) == 2 * (300 + 32 + 50)
