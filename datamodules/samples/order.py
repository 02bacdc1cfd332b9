"""The order of training images: decided by the seed and the epoch alone, so that a training can go on at any epoch."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch
from torch.utils.data import Sampler

if TYPE_CHECKING:
    from collections.abc import Iterator


class SeededOrder(Sampler[int]):
    """Every item once in each epoch, in an order of its own.

    Neither what was drawn before nor the number of loading processes plays a part. Lightning calls ``set_epoch``;
    whoever does not, gets the next epoch's order with each pass.

    Args:
        count: Number of items.
        seed: Decides all orders.
        epoch: Of the first pass, from 0.
        counted: Yield ``epoch * count + index``: datasets that vary an item by epoch learn of it in this way.
    """

    def __init__(self, count: int, seed: int, epoch: int = 0, *, counted: bool = False) -> None:
        self.count, self.seed, self.epoch, self.counted = count, seed, epoch, counted

    def __len__(self) -> int:
        """Count the items."""
        return self.count

    def set_epoch(self, epoch: int) -> None:
        """Take the order of an epoch next."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Yield the items of an epoch."""
        order = order_of(self.count, self.seed, self.epoch)
        first = self.epoch * self.count if self.counted else 0
        self.epoch += 1
        yield from (first + index for index in order)


def order_of(count: int, seed: int, epoch: int) -> list[int]:
    """Return the order of an epoch; that of the first is the one that torch's own loader draws from the seed."""
    generator = torch.Generator().manual_seed(mixed(seed, epoch) if epoch else seed)
    torch.empty((), dtype=torch.int64).random_(generator=generator)  # the loader draws a seed for its workers first
    order: list[int] = torch.randperm(count, generator=generator).tolist()
    return order


def mixed(seed: int, number: int) -> int:
    """Make one seed, 0 to 2**63 - 1, of two numbers; neighbouring ones have nothing in common."""
    return int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:8]) >> 1
