"""Several jobs side by side, each in one thread: OpenCV and NumPy release the interpreter lock while they work."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import cv2
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def side_by_side(jobs: int) -> Iterator[ThreadPoolExecutor]:
    """Lend a pool with a thread for every job, and at most one more than there are cores: the last waits for none.

    Of two or more jobs, none starts threads of its own meanwhile: they would only wait for one another.

    Args:
        jobs: How many there are to do.
    """
    workers = max(min(jobs, (os.cpu_count() or 1) + 1), 1)
    before = cv2.getNumThreads()
    with ThreadPoolExecutor(workers) as pool, threadpool_limits(1) if workers > 1 else nullcontext():
        if workers > 1:
            cv2.setNumThreads(1)
        try:
            yield pool
        finally:
            cv2.setNumThreads(before)
