"""The journal: one file to which lines are added, each on the disk before anybody hears that it is.

What stands in it is never changed. A line that a kill cut short was promised to nobody: it goes when the file opens.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from datamodules.errors import DataError
from datamodules.files.whole_files import sync_folder

from .entries import MARK, REDO, UNDO, Entry, Seen
from .replay import State, replay

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .entries import Mark

JOURNAL = "journal.jsonl"
PRIVATE = 0o600


class NothingToTurnError(Exception):
    """There is nothing to undo, or to do again."""


class Journal:
    """Keeps what people say; one process at a time writes to it.

    Args:
        path: The file; is made where it is not there.
        now: Tells the time, ISO 8601.

    Attributes:
        state: What follows from all lines so far.

    Raises:
        DataError: A line in it cannot be understood.
        OSError: It cannot be written to.
    """

    def __init__(self, path: Path, now: Callable[[], str] | None = None) -> None:
        self.path = path
        self._now = now or _local_time
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
        sync_folder(path.parent)
        whole = _whole(path.read_bytes())
        os.ftruncate(self._file, len(whole))
        os.lseek(self._file, len(whole), os.SEEK_SET)
        self._size = len(whole)
        self.state: State = replay_text(whole, path)

    def mark(self, request: str, by: str, image: str, after: Mark, seen: Seen, act: str = MARK) -> Entry:
        """Store a verdict; a repeated request is not stored again, and its first entry is returned.

        Raises:
            OSError: The disk does not take it; then it is not kept.
        """
        with self._lock:
            if (known := self.state.requests.get(request)) is not None:
                return known
            own = self.state.own(image, by)
            label = self.state.label(image)
            before = (None if own is None else own.after) if seen.blind else None if label is None else label.mark
            return self._keep(Entry(self._next, request, self._now(), by, act, image, before, after, seen=seen))

    def undo(self, request: str, by: str) -> Entry:
        """Take back what an inspector said last; their next one takes back what they said before that.

        Raises:
            NothingToTurnError: They said nothing that stands.
            OSError: As ``mark``.
        """
        return self._turn(request, by, UNDO)

    def redo(self, request: str, by: str) -> Entry:
        """Say again what an inspector took back last.

        Raises:
            NothingToTurnError: They took nothing back, or have said something since.
            OSError: As ``mark``.
        """
        return self._turn(request, by, REDO)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    @property
    def _next(self) -> int:
        return len(self.state.entries) + 1

    def _turn(self, request: str, by: str, act: str) -> Entry:
        with self._lock:
            if (known := self.state.requests.get(request)) is not None:
                return known
            numbers = (self.state.done if act == UNDO else self.state.undone)[by]
            if not numbers:
                raise NothingToTurnError
            turned = self.state.entries[numbers[-1]]
            before, after = (turned.after, turned.before) if act == UNDO else (turned.before, turned.after)
            entry = replace(turned, number=self._next, request=request, when=self._now(), act=act, of=turned.number)
            return self._keep(replace(entry, before=before, after=after))

    def _keep(self, entry: Entry) -> Entry:
        """Write a line, wait for the disk, and only then believe it."""
        data = (entry.line() + "\n").encode()
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
            raise
        self._size += len(data)
        self.state.apply(entry)
        return entry


def read_journal(path: Path) -> State:
    """Read a journal, whoever may be writing to it; change nothing.

    Raises:
        DataError: There is none, or a line in it cannot be understood.
    """
    try:
        return replay_text(_whole(path.read_bytes()), path)
    except OSError as error:
        raise DataError(
            f"Expected journal to be a file that loupe label wrote, but {path}: {error.strerror}; it lies in the "
            f"folder that loupe label names when it starts, as {JOURNAL}."
        ) from error


def replay_text(data: bytes, path: Path) -> State:
    """Read whole lines; ``path`` names them in errors.

    Raises:
        DataError: One cannot be understood.
    """
    entries: list[Entry] = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        try:
            entries.append(Entry.read(line))
        except (ValueError, TypeError) as error:
            raise _damaged(path, number, error) from error
    try:
        return replay(entries)
    except ValueError as error:
        raise _damaged(path, len(entries), error) from error


def _damaged(path: Path, number: int, error: Exception) -> DataError:
    return DataError(
        f"Expected every line of {path} as loupe label wrote it, but up to line {number}: {error}; restore the file "
        "from a copy, since later lines rest on earlier ones."
    )


def _whole(data: bytes) -> bytes:
    """Leave out a last line that was cut short."""
    return data[: data.rfind(b"\n") + 1]


def _local_time() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
