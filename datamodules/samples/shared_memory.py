"""What loading processes may keep in shared memory, looked at before they start: a container has 64 MB by default."""

from __future__ import annotations

import os
import sys
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from datamodules.errors import DataError

if TYPE_CHECKING:
    from .sized import SizedDataset

PLACE = "/dev/shm"  # noqa: S108 - where Linux keeps shared memory, not a place of ours
PREFETCHED = 4  # batches ahead of each process, where there is room
IN_HAND = 2  # batches that the training itself still holds
AT_ONCE = 3  # loaders that may hold batches at a time: of training, calibration and test
MARGIN = 1.5  # images may have more instances than the first
_warned: list[str] = []


class Loaders(NamedTuple):
    """How images are loaded.

    Attributes:
        workers: Processes; 0: the training loads them itself.
        prefetched: Batches that each of them keeps ready.
    """

    workers: int
    prefetched: int


def choose_loaders(dataset: SizedDataset[Any], batch_size: int, workers: int) -> Loaders:
    """Take as many processes as shared memory allows, and say so where these are fewer than asked for."""
    room = free_bytes()
    if not workers or room is None:
        return Loaders(workers, PREFETCHED)
    try:
        batch = int(MARGIN * batch_size * size_of(dataset[0]))
    except DataError:  # whoever loads it will say so
        return Loaders(workers, PREFETCHED)
    chosen = affordable(room // AT_ONCE, batch, workers)
    if chosen.workers < workers:
        several = f"{chosen.workers} process{'es' if chosen.workers > 1 else ''}"
        who = several if chosen.workers else "the training itself"
        _say(
            f"Images are loaded by {who}, not by {workers} processes: a batch takes {batch / 2**20:.0f} MB of shared "
            f"memory, and {PLACE} has {room / 2**20:.0f} MB left; give the container more, as with docker run "
            "--shm-size=2g, or set data.batch_size lower."
        )
    return chosen


def affordable(room: int, batch: int, workers: int) -> Loaders:
    """Prefetch less before there are fewer processes; none at all where not even one finds room.

    Args:
        room: Bytes of shared memory.
        batch: Bytes of a batch.
        workers: Processes asked for.
    """
    most = room // max(1, batch) - IN_HAND
    if most < 1:
        return Loaders(0, PREFETCHED)
    fewer = min(workers, most)
    return Loaders(fewer, max(1, min(PREFETCHED, most // fewer)))


def size_of(item: Any) -> int:
    """Count the bytes of all tensors in an item."""
    if isinstance(item, torch.Tensor):
        return item.nbytes
    if isinstance(item, dict):
        return sum(map(size_of, item.values()))
    if isinstance(item, list | tuple):
        return sum(map(size_of, item))
    if is_dataclass(item):
        return sum(size_of(getattr(item, field.name)) for field in fields(item))
    return 0


def free_bytes() -> int | None:
    """Say how much shared memory is left; None where there is no telling."""
    try:
        found = os.statvfs(PLACE)
    except (OSError, AttributeError):
        return None
    return found.f_bavail * found.f_frsize


def _say(words: str) -> None:
    """Say it once, however many loaders there are."""
    if not _warned:
        _warned.append(words)
        sys.stderr.write(f"{words}\n")
