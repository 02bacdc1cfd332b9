"""One judge for many callers: images that wait at the same time are read by threads and judged together.

No caller sees another's: each image comes with a promise of its own, and a batch gives every promise its own result.
How large a batch is, and what else is in it, changes no verdict (tests hold that to the bit).
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from .limits import busy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tools.runner.input_image import InputImage
    from tools.runner.judge import Judge
    from tools.runner.prepared import Prepared
    from tools.runner.result import Result

T = TypeVar("T")
READERS = 2


@dataclass
class _Asked:
    """An image on its way."""

    kind: str
    promise: Future[Result] = field(default_factory=Future)
    prepared: Prepared | None = None


class Batcher:
    """Judges images for many threads by one judge, in batches of those that are there.

    Args:
        judge: What judges; it is called by one thread only.
        batch_size: Images judged together, at most.
        waiting: Images that may wait, at most.
    """

    def __init__(self, judge: Judge, batch_size: int = 8, waiting: int = 512) -> None:
        self.judge = judge
        self.batch_size = batch_size
        self.most = waiting
        self.batches = 0
        self._waiting = 0
        self._lock = threading.Lock()
        self._free = threading.Semaphore(2 * batch_size)  # images that are decoded, and not yet judged
        self._ready: queue.SimpleQueue[_Asked | Callable[[], None] | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(READERS, "reader")
        self._judging = threading.Thread(target=self._judge_all, name="judge", daemon=True)
        self._judging.start()

    @property
    def waiting(self) -> int:
        """Images that were handed in and have no result yet."""
        return self._waiting

    def submit(self, images: Sequence[InputImage], kind: str = "") -> list[Future[Result]]:
        """Hand in images, all or none.

        Raises:
            RefusedError: Too many are waiting already.
        """
        with self._lock:
            if self._waiting and self._waiting + len(images) > self.most:  # alone, a large request is served
                raise busy(self.most)
            self._waiting += len(images)
        asked = [_Asked(kind) for _ in images]
        for one, image in zip(asked, images, strict=True):
            one.promise.add_done_callback(self._leave)
            self._readers.submit(self._read, one, image)
        return [one.promise for one in asked]

    def call(self, work: Callable[[], T]) -> Future[T]:
        """Do something else with the judge, between two batches."""
        promise: Future[T] = Future()

        def do() -> None:
            if promise.set_running_or_notify_cancel():
                try:
                    promise.set_result(work())
                except Exception as error:  # noqa: BLE001 - whoever asked is told
                    promise.set_exception(error)

        self._ready.put(do)
        return promise

    def close(self) -> None:
        """Judge the images still waiting, and stop."""
        self._readers.shutdown(wait=True)
        self._ready.put(None)
        self._judging.join()

    def _leave(self, promise: Future[Result]) -> None:
        del promise
        with self._lock:
            self._waiting -= 1

    def _read(self, asked: _Asked, image: InputImage) -> None:
        self._free.acquire()
        try:
            if asked.promise.set_running_or_notify_cancel():
                asked.prepared = self.judge.read_named(image)
        except Exception as error:  # noqa: BLE001 - whoever asked is told, and others go on
            asked.promise.set_exception(error)
        if asked.prepared is None:
            self._free.release()
        else:
            self._ready.put(asked)

    def _judge_all(self) -> None:
        while True:
            batch, others, ended = self._take()
            for work in others:
                work()
            if batch:
                self._judge(batch)
            if ended:
                return

    def _take(self) -> tuple[list[_Asked], list[Callable[[], None]], bool]:
        """Wait for something to do, and take what else is there, up to a batch."""
        batch: list[_Asked] = []
        others: list[Callable[[], None]] = []
        entry = self._ready.get()
        while True:
            if entry is None:
                return batch, others, True
            if isinstance(entry, _Asked):
                batch.append(entry)
            else:
                others.append(entry)
            if len(batch) == self.batch_size:
                return batch, others, False
            try:
                entry = self._ready.get_nowait()
            except queue.Empty:
                return batch, others, False

    def _judge(self, batch: list[_Asked]) -> None:
        self.batches += 1
        try:
            prepared = [asked.prepared for asked in batch if asked.prepared is not None]
            results = [self.judge.measured(one) for one in self.judge.judge(prepared, [asked.kind for asked in batch])]
        except Exception as error:  # noqa: BLE001 - those who asked are told, and others go on
            for asked in batch:
                asked.promise.set_exception(error)
        else:
            for asked, result in zip(batch, results, strict=True):
                asked.promise.set_result(result)
        finally:
            self._free.release(len(batch))
