"""Mishaps that are nobody's mistake: what to say of a full disk, a lost worker or a lack of memory."""

from __future__ import annotations

import errno
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .library_words import is_out_of_memory, lost_loader, sentence_of_loader, system_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .library_words import LostLoader

NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


def explain(error: BaseException) -> str | None:
    """Say in a sentence what happened, if it is a mishap of the machine; None where it is something else.

    Libraries wrap what they catch: the whole chain is searched.
    """
    return next((words for link in chain(error) if (words := _explain(link)) is not None), None)


@contextmanager
def quiet_threads() -> Iterator[None]:
    """Let threads of libraries not complain of mishaps inside the block: TensorBoard's tells the main one later.

    What is not a mishap is shown as ever.
    """
    before = threading.excepthook

    def hook(lost: threading.ExceptHookArgs) -> None:
        if lost.exc_value is None or explain(lost.exc_value) is None:
            before(lost)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, then what it was raised from or while handling."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _explain(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.errno is not None:
        return _explain_system(error)
    if is_out_of_memory(error):
        return "Expected enough memory, but there is no more; set data.batch_size lower, or end other programs"
    if (lost := lost_loader(error)) is not None:
        return _explain_loader(lost)
    if (refused := system_error(error)) is not None:
        return _explain_system(refused)
    return sentence_of_loader(error)


def _explain_system(error: OSError) -> str | None:
    """Explain what the system refused."""
    where = f" for {error.filename}" if error.filename else ""
    if error.errno in NO_SPACE:
        return (
            f"Expected space{where}, but the disk is full, or has no room for more files; every file that was written "
            "is whole: make space"
        )
    if error.errno == errno.EROFS:
        return f"Expected to write{where}, but the disk is read-only now; mount it to be written to"
    if error.errno == errno.EIO:
        return f"Expected the disk to answer{where}, but it reports an error of its own; look at the disk"
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return f"Expected to open one more file{where}, but too many are open; raise the limit, as with ulimit -n 4096"
    return None


def _explain_loader(lost: LostLoader) -> str:
    """Explain the end of a process that loads images."""
    if lost.shared_memory:
        return (
            f"Expected the processes that load images to share them, but {lost.processes} ran out of shared memory "
            "(/dev/shm); set data.num_workers=0 or data.batch_size lower, or give the container more, as with "
            "docker run --shm-size=2g"
        )
    return (
        f"Expected the processes that load images to live, but {lost.processes} {lost.how}, as when the system runs "
        "out of memory; set data.num_workers or data.batch_size lower"
    )


def first_line(error: BaseException) -> str:
    """Return the first line of a library's error message; the error's class where there is none, or only a key."""
    lines = [line.strip().rstrip(":") for line in str(error).splitlines() if line.strip()]
    words = lines[0] if lines else ""
    return f"{type(error).__name__} {words}".strip() if isinstance(error, KeyError) or not words else words


def surprise(error: BaseException) -> str:
    """Say what nobody foresaw, in one line: its kind, and what it says first."""
    if isinstance(error, OSError) and error.strerror:
        return f"Expected to read and write {error.filename or 'files'}, but: {error.strerror}"
    kind, words = type(error).__name__, first_line(error)
    return f"Expected no such error: {words}" if words.startswith(kind) else f"Expected no such error: {kind}: {words}"
