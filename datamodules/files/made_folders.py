"""Folders that a command makes for its results, and takes away again where nothing came of it."""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_made: ContextVar[list[Path] | None] = ContextVar("made", default=None)


@contextmanager
def leaving_none_empty() -> Iterator[None]:
    """Remove every folder that was made inside the block by ``make_folder``, and is empty at its end."""
    token = _made.set([])
    try:
        yield
    finally:
        for path in reversed(_made.get() or []):
            with contextlib.suppress(OSError):  # it holds something, or is gone
                path.rmdir()
        _made.reset(token)


def make_folder(path: Path, *, exist_ok: bool = False) -> None:
    """Make a folder, and those above it.

    Args:
        path: The folder.
        exist_ok: Whether it may be there already.

    Raises:
        OSError: As ``Path.mkdir``.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=exist_ok)
    if (made := _made.get()) is not None:
        made.extend(folder.absolute() for folder in reversed(missing))
