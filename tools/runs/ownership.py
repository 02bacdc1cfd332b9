"""A run belongs to one process at a time."""

from __future__ import annotations

import contextlib
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tools.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows: two trainings of one run are the user's to avoid
    fcntl = None  # type: ignore[assignment]  # there is no such module there

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = ".lock"
_PART = re.compile(r"\..+\.\d+")


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own a run inside the block; the system takes it back from whoever is killed.

    Raises:
        ConfigError: Another process trains it.
    """
    path = folder / LOCK
    with path.open("a+") as file:
        if fcntl is not None:
            _take(file.fileno(), path)
        _tidy(folder)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _tidy(folder: Path) -> None:
    """Remove what a kill left of files that were being written: ``.NAME.PROCESS``, see ``write_whole``."""
    for path in folder.rglob(".*"):
        if _PART.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _take(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = path.read_text(encoding="utf-8").strip() or "unknown"
        raise ConfigError(
            f"Expected {path.parent} to be at rest, but process {owner} is at work on it; wait for it, or end it first."
        ) from None
