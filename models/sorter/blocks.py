"""Cells taken block by block: what is made of them on the way takes the memory of one block, however many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 1024  # cells: 16 MiB of 64 x 64 pixels


def blocks(count: int) -> Iterator[slice]:
    """Yield slices that cover ``count`` cells."""
    yield from (slice(first, min(first + BLOCK, count)) for first in range(0, count, BLOCK))
