"""Loaders that keep a GPU fed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import cv2
import torch
from torch.utils.data import DataLoader

from .order import SeededOrder
from .shared_memory import choose_loaders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .sized import SizedDataset

Item = TypeVar("Item")
Batch = TypeVar("Batch")

MAX_WORKERS = 8


def make_loader(
    dataset: SizedDataset[Item],
    batch_size: int,
    num_workers: int | None,
    collate: Callable[[Sequence[Item]], Batch],
    seed: int | None = None,
    epoch: int = 0,
) -> DataLoader[Batch]:
    """Build a loader: pinned memory where there is a GPU, workers that stay alive, one seed for the order.

    Args:
        dataset: What to load.
        batch_size: Items per batch.
        num_workers: Reading processes; None: one less than the processors, at most 8, and none for a single batch.
            Fewer, where shared memory is short.
        collate: Makes a batch of items.
        seed: Shuffle by it; None: keep the order.
        epoch: That the first pass is, which decides its order.
    """
    if num_workers is None:
        num_workers = 0 if len(dataset) <= batch_size else min(MAX_WORKERS, (os.cpu_count() or 1) - 1)
    loaders = choose_loaders(dataset, batch_size, num_workers)
    options: dict[str, Any] = {}
    if loaders.workers:
        cv2.setNumThreads(0)  # OpenCV's own do not survive a fork: a worker would wait for them for ever
        options = {"persistent_workers": True, "prefetch_factor": loaders.prefetched}
    if seed is not None:
        options["sampler"] = SeededOrder(len(dataset), seed, epoch, counted=dataset.counts_epochs)
    return DataLoader(
        dataset,  # type: ignore[arg-type]  # torch's types know no collate function that changes the type
        batch_size=batch_size,
        generator=torch.Generator().manual_seed(_drawn() if seed is None else seed),
        num_workers=loaders.workers,
        pin_memory=torch.cuda.is_available(),
        collate_fn=collate,
        **options,
    )


def once_more(loader: DataLoader[Batch]) -> DataLoader[Batch]:
    """Build a loader of the same batches, in the order of the data, for who reads them beside a trainer.

    That of the trainer must not be read: it may have workers that stay alive, which serve one reader, the last.
    """
    return DataLoader(loader.dataset, loader.batch_size, num_workers=loader.num_workers, collate_fn=loader.collate_fn)


def _drawn() -> int:
    """Draw the seed of a loader, once: one without a generator draws where models do, as often as it starts workers."""
    return int(torch.empty((), dtype=torch.int64).random_())
