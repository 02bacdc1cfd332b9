"""Files that are files: a pipe, a device or a socket of the same name would be waited for, or read, for ever."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

LARGEST_LABELS = 64 << 20  # bytes of a file of labels, which takes ten times as much memory
KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
UNTIL_IT_IS_OPEN = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # a pipe would wait for its writer


def kind_of(path: str | Path) -> str:
    """Name what a path is where that is neither a file nor a folder, such as ``a pipe``; empty for all else.

    Raises:
        OSError: There is nothing.
    """
    mode = Path(path).stat().st_mode
    return next((name for is_kind, name in KINDS if is_kind(mode)), "")


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file to read bytes of it.

    Raises:
        OSError: It cannot be opened, or is not a file; ``strerror`` says so.
    """
    if kind := kind_of(path):
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))
    file = os.fdopen(os.open(path, os.O_RDONLY | UNTIL_IT_IS_OPEN), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a folder, or something else since
        file.close()
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return file


def read_regular(path: str | Path, most: int | None = None) -> bytes:
    """Read a file whole.

    Args:
        path: Of the file.
        most: Bytes that it may have; None: any number.

    Raises:
        OSError: As ``open_regular``, or it is larger.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            reason = f"it has {size / 2**20:,.0f} MiB, more than the {most / 2**20:,.0f} MiB that are read at once"
            raise OSError(errno.EFBIG, reason, str(path))
        return file.read()
