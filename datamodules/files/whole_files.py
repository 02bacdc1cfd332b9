"""Files that are either whole or absent, whatever ends the process or fills the disk."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(path: Path, content: bytes | bytearray | memoryview, *, durable: bool = False) -> None:
    """Write a file under a temporary name in its own folder, then rename it: readers see the old file or the new one.

    In its own folder, since a rename within one file system is the only step that cannot be interrupted half-way.

    Args:
        path: Where to; its folder is made.
        content: All of it.
        durable: Wait until the disk has it before the old file goes: for what a power failure must not take.

    Raises:
        OSError: There is no space, or no right to write; what was there before is unharmed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Let the disk know of the rename; where folders cannot be opened (Windows), it learns of it later."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
