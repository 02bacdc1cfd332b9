"""Samples that stay in memory from one training of a process to the next: in a sweep, decoding is half of a short one.

Where reading processes load the images, each forgets what it read when its training ends, and nothing is kept.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from datamodules.samples.sized import SizedDataset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from datamodules.samples.batch import Sample

_in_use: SampleCache | None = None


class SampleCache:
    """Samples by their content keys; once full, no more are taken, since every training asks for all of them in turn.

    Args:
        limit_bytes: Of their tensors, at most.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.size = 0
        self._samples: dict[str, Sample] = {}

    def __len__(self) -> int:
        """Count the samples."""
        return len(self._samples)

    def get(self, key: str) -> Sample | None:
        """Return a sample, every bit as it was given; None where it was not kept."""
        stored = self._samples.get(key)
        if stored is None:
            return None
        eight_bit = stored.image.dtype == torch.uint8
        return _copy(stored, stored.image.float().div_(255) if eight_bit else stored.image)

    def put(self, key: str, sample: Sample) -> None:
        """Keep a sample, with eight bits per value of its image where nothing is lost by that."""
        eight_bit = sample.image.mul(255).round().to(torch.uint8)
        exact = torch.equal(eight_bit.float().div_(255), sample.image)
        stored = _copy(sample, eight_bit if exact else sample.image)
        size = _size(stored)
        if self.size + size <= self.limit_bytes:
            self.size += size
            self._samples[key] = stored


class DatasetInMemory(SizedDataset["Sample"]):
    """Samples of another dataset, kept in memory.

    Args:
        dataset: Where samples come from the first time.
        keys: One for each sample, that decides all of it.
        cache: What is there already.
    """

    def __init__(self, dataset: SizedDataset[Sample], keys: Sequence[str], cache: SampleCache) -> None:
        self.dataset, self.keys, self.cache = dataset, keys, cache

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        """Return a sample, from memory if it is there."""
        sample = self.cache.get(self.keys[index])
        if sample is None:
            sample = self.dataset[index]
            self.cache.put(self.keys[index], sample)
        return sample


@contextmanager
def keeping(cache: SampleCache | None) -> Iterator[None]:
    """Let every datamodule inside the block keep its samples here; None: nowhere."""
    global _in_use  # noqa: PLW0603 - a sweep around a run is not a choice of the run's, and stays out of its config
    before, _in_use = _in_use, cache
    try:
        yield
    finally:
        _in_use = before


def cache_in_use() -> SampleCache | None:
    """Return what ``keeping`` gave, if anything."""
    return _in_use


def _copy(sample: Sample, image: Tensor) -> Sample:
    """Copy what a training may write to: images and masks are copied into batches, targets are not."""
    return replace(sample, image=image, target=sample.target and {k: v.clone() for k, v in sample.target.items()})


def _size(sample: Sample) -> int:
    tensors = [sample.image, sample.mask, sample.zones, sample.foreground, *(sample.target or {}).values()]
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)
