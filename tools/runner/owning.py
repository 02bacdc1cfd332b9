"""One writer per folder: a new one is made exclusively, and one that is there is locked while it is written."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from datamodules.files.made_folders import make_folder

from .specification import BundleError

if TYPE_CHECKING:
    from pathlib import Path

LOCK = ".lock"
MOST_FOLDERS = 10_000


def new_folder(wanted: Path) -> Path:
    """Make a folder that nobody else has: ``wanted``, or else the first of ``wanted_2``, ``wanted_3``, ...

    Raises:
        BundleError: None can be made.
    """
    try:
        for count in range(1, MOST_FOLDERS):
            path = wanted if count == 1 else wanted.with_name(f"{wanted.name}_{count}")
            with contextlib.suppress(FileExistsError):
                make_folder(path)
                return path
    except OSError as error:
        raise BundleError(f"Expected a folder to write to, but {wanted}: {error.strerror}.") from error
    raise BundleError(f"Expected a free name beside {wanted}, but {MOST_FOLDERS} are taken; choose another folder.")


class Owner:
    """Owns a folder until ``release``; the system takes the folder back from a process that is killed.

    Where the file system knows no locks, nothing is owned: that one writer is there is then the user's to see to.

    Args:
        folder: That is there.

    Raises:
        BundleError: Another process writes to it.
        OSError: It cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        while True:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            if not _lock(self._file):
                os.close(self._file)
                raise BundleError(
                    f"Expected {folder} to be at rest, but another process writes to it; wait for it, or choose "
                    "another folder."
                )
            if is_still(self._file, self.path):
                return
            os.close(self._file)  # its owner removed it meanwhile: what is locked is no file of the folder any more

    def release(self) -> None:
        """Let others have the folder; a second call does nothing."""
        if self._file >= 0:
            with contextlib.suppress(OSError):
                self.path.unlink()
            os.close(self._file)
            self._file = -1


def is_still(descriptor: int, path: Path) -> bool:
    """Tell whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int) -> bool:
    """Lock an open file, without waiting; false where another process has it."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:
        return _lock_on_windows(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _lock_on_windows(descriptor: int) -> bool:
    import msvcrt  # noqa: PLC0415 - on Windows alone

    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # as above
    except OSError:
        return False
    return True
