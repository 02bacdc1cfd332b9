"""Files that are files: a pipe, a device or a socket of the same name would be waited for, or read, for ever."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
UNTIL_IT_IS_OPEN = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # a pipe would wait for its writer


def kind_of(path: str | Path) -> str:
    """Name what a path is where that is no file and no folder, such as ``a pipe``; empty for all else.

    Raises:
        OSError: There is nothing.
    """
    mode = Path(path).stat().st_mode
    return next((name for is_kind, name in KINDS if is_kind(mode)), "")


def read_regular(path: str | Path, most: int | None = None) -> bytes:
    """Read a file whole.

    Args:
        path: Of the file.
        most: Bytes that it may have; None: any number.

    Raises:
        OSError: It cannot be opened, is no file, or is larger; ``strerror`` says so.
    """
    if kind := kind_of(path):
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))
    with os.fdopen(os.open(path, os.O_RDONLY | UNTIL_IT_IS_OPEN), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):  # a folder, or something else since
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if most is not None and found.st_size > most:
            said = f"it has {found.st_size / 2**20:,.0f} MiB, more than the {most / 2**20:,.0f} that are read at once"
            raise OSError(errno.EFBIG, said, str(path))
        return file.read()
