from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
import pytest
import torch

from datamodules.errors import UnreadableImageError
from datamodules.files.images import resize
from datamodules.samples.batch import Sample, collate
from datamodules.samples.dataset import FileDataset, Reading
from datamodules.samples.loading import make_loader
from datamodules.samples.sized import SizedDataset

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


Item = TypeVar("Item")


class Squares(SizedDataset[int]):
    """The squares of a few numbers: enough to see the order of a loader."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return index**2


def as_list(items: Sequence[Item]) -> list[Item]:
    return list(items)


def epoch(seed: int | None, count: int = 20) -> list[list[int]]:
    return list(make_loader(Squares(count), 6, 0, as_list, seed=seed))


def test_without_a_seed_the_order_is_kept() -> None:
    assert [*chain(*epoch(None))] == [index**2 for index in range(20)]
    assert [len(batch) for batch in epoch(None)] == [6, 6, 6, 2]


def test_the_seed_alone_decides_the_order() -> None:
    torch.manual_seed(1)
    first = epoch(3)
    torch.manual_seed(2)
    assert epoch(3) == first
    assert epoch(4) != first
    assert sorted(chain(*first)) == [index**2 for index in range(20)]
    assert first != epoch(None)


def test_epochs_differ_from_one_another() -> None:
    loader = make_loader(Squares(20), 6, 0, as_list, seed=3)
    assert list(loader) != list(loader)


def test_a_single_batch_starts_no_processes() -> None:
    assert make_loader(Squares(6), 6, None, as_list).num_workers == 0
    assert 0 <= make_loader(Squares(60), 6, None, as_list).num_workers <= 8
    assert make_loader(Squares(60), 6, 2, as_list).num_workers == 2


def read_all(root: Path, workers: int, seed: int | None) -> list[list[Sample | UnreadableImageError]]:
    dataset = FileDataset(sorted(root.rglob("*.png")), Reading(24, 20))
    return list(make_loader(dataset, 4, workers, as_list, seed=seed))


@pytest.mark.parametrize("seed", [None, 5])
def test_workers_give_the_same_batches_as_none(picture_folder: Path, seed: int | None) -> None:
    """Also after OpenCV has used its own threads, which a forked process does not inherit."""
    resize(np.zeros((3000, 3000, 3), dtype=np.uint8), 700, 900)
    (picture_folder / "good" / "005.png").write_bytes(b"")
    alone, helped = read_all(picture_folder, 0, seed), read_all(picture_folder, 2, seed)
    assert [len(batch) for batch in alone] == [len(batch) for batch in helped]
    assert len(alone) == 8
    pairs = [pair for batches in zip(alone, helped, strict=True) for pair in zip(*batches, strict=True)]
    for one, other in pairs:
        if isinstance(one, Sample):
            assert isinstance(other, Sample)
            assert one.name == other.name
            assert torch.equal(one.image, other.image)
        else:
            assert str(one) == str(other)
    assert sum(isinstance(one, UnreadableImageError) for one, _ in pairs) == 1


class Threads(SizedDataset["Sample"]):
    """Tells how many threads OpenCV may use where it is read."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        raise UnreadableImageError(str(index), f"threads: {cv2.getNumThreads()}", "none")


def test_a_worker_keeps_to_one_thread_and_its_errors_say_what_is_wrong() -> None:
    loaded = iter(make_loader(Threads(), 2, 1, collate))
    for first in (0, 2):
        with pytest.raises(RuntimeError, match=f"{first}: threads: 1; none"):  # torch wraps what a worker raises
            next(loaded)
    assert list(loaded) == []  # ends its process; the collector of garbage would wait five seconds for it
