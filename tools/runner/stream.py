"""Reading ahead, in bounded memory: while a batch is judged, threads read the next images."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")


def read_ahead(items: Iterable[T], read: Callable[[T], R], readers: int, ahead: int) -> Iterator[R]:
    """Yield ``read(item)`` for every item, in order, while at most ``ahead`` further ones are being read.

    Args:
        items: What to read; asked for no earlier than needed.
        read: Runs in threads.
        readers: How many; 0 reads each item when it is asked for, as a live camera needs it.
        ahead: How many results may wait.
    """
    if readers == 0:
        yield from map(read, items)
        return
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(readers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(read, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of ``size`` items; the last one may be shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
