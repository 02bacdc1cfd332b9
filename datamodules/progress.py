"""One way to show that long work is alive: a bar in a terminal, plain lines in a log, nothing for short work."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, TypeVar

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

BAR_AFTER_S = 2.0
LINE_EVERY_S = 10.0


def is_terminal(stream: TextIO | None = None) -> bool:
    """Tell whether ``stream`` (standard error by default) is a terminal that can redraw a line."""
    stream = sys.stderr if stream is None else stream
    return stream.isatty()


def track(
    items: Iterable[T], description: str, total: int | None = None, note: Callable[[], str] | None = None
) -> Iterator[T]:
    """Yield every item of ``items``, and show how far along they are once that takes over two seconds.

    Args:
        items: What to go through.
        description: What is being done, for example ``"reading images"``.
        total: How many items there are, where ``items`` has no length.
        note: Asked after every item for what is worth knowing, such as a loss.
    """
    total = _length(items) if total is None else total
    if is_terminal():
        bar = tqdm(items, desc=description, total=total, delay=BAR_AFTER_S, leave=False, file=sys.stderr)
        for item in bar:
            yield item
            if note is not None:
                bar.set_postfix_str(note(), refresh=False)
        return
    started = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= LINE_EVERY_S and done != total:
            last = now
            spent = now - started
            of_total = f" of {total}" if total is not None else ""
            left = f", about {spent / done * (total - done):.0f} s left" if total is not None else ""
            noted = f", {note()}" if note is not None else ""
            sys.stderr.write(f"{description}: {done}{of_total}, {spent:.0f} s{left}{noted}\n")


def tell(sentence: str) -> None:
    """Say what is worth knowing before long work goes on."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


@contextmanager
def working(description: str) -> Iterator[None]:
    """Say what is being done, once it takes over two seconds, where nothing can be counted."""
    stream, redraw = sys.stderr, is_terminal()
    shown = threading.Event()

    def show() -> None:
        shown.set()
        stream.write(f"{description} ..." if redraw else f"{description}\n")
        stream.flush()

    timer = threading.Timer(BAR_AFTER_S, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if redraw and shown.is_set():
            stream.write("\r\033[K")  # back to the start of the line, and clear it


def _length(items: Iterable[T]) -> int | None:
    return len(items) if isinstance(items, Sized) else None
