"""A run belongs to one process at a time."""

from __future__ import annotations

import contextlib
import os
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from datamodules.files.made_folders import make_folder
from tools.errors import ConfigError
from tools.runner.owning import Owner, is_still
from tools.runner.specification import BundleError

try:
    import fcntl
except ImportError:  # Windows: two trainings of one run are the user's to avoid
    fcntl = None  # type: ignore[assignment]  # there is no such module there

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

LOCK = ".lock"
LOADERS_S = 15.0  # within 5 seconds torch's loaders notice that their training is gone; until then they hold its files
_PART = re.compile(r"\..+\.\d+")


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own a run inside the block; the system takes the run back from a process that is killed.

    Raises:
        ConfigError: Another process trains it.
    """
    path = folder / LOCK
    with _taken(path) as file:
        _tidy(folder)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Own a folder of results inside the block, made where it is not there; one that stays empty is removed again.

    Raises:
        ConfigError: Another process writes to it.
    """
    try:
        make_folder(folder, exist_ok=True)
        owner = Owner(folder)
    except BundleError as error:
        raise ConfigError(str(error)) from error
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(f"Expected out to be a folder, but {error.filename} is a file; choose another.") from error
    try:
        yield
    finally:
        owner.release()
        with contextlib.suppress(OSError):  # it holds something
            folder.rmdir()


@contextmanager
def _taken(path: Path) -> Iterator[TextIO]:
    """Open and lock the file of a lock; anew where its owner removed it between the one and the other."""
    while True:
        with path.open("a+") as file:
            if fcntl is not None:
                _take(file.fileno(), path)
            if not is_still(file.fileno(), path):
                continue
            yield file
            return


def _tidy(folder: Path) -> None:
    """Remove what a kill left of files that were being written: ``.NAME.PROCESS``, see ``write_whole``."""
    for path in folder.rglob(".*"):
        if _PART.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _take(descriptor: int, path: Path) -> None:
    """Lock an open file; where its owner was killed, once the loaders that it leaves behind have noticed."""
    until = time.monotonic() + LOADERS_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = path.read_text(encoding="utf-8").strip() or "unknown"
            if _is_there(owner) or time.monotonic() > until:
                raise ConfigError(
                    f"Expected {path.parent} to be at rest, but process {owner} is at work on it; wait for it, or end "
                    "it first."
                ) from None
            time.sleep(0.1)
        else:
            return


def _is_there(owner: str) -> bool:
    """Tell whether a process is there, or it cannot be known."""
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OSError):  # no number; somebody else's
        return True
    return True
