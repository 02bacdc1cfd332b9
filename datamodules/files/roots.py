"""The folder of a data set, or what is there instead."""

from __future__ import annotations

import os
from pathlib import Path

from datamodules.errors import DataError

from .suffixes import ARCHIVES, VIDEOS


def existing_root(root: str, holds: str) -> Path:
    """Return ``root`` as an absolute path.

    Raises:
        DataError: It is not a folder; ``holds`` says what it should contain.
    """
    if not root.strip():
        raise DataError(f"Expected data.root to be a folder with {holds}, but found nothing; data.root=. is this one.")
    try:
        path = Path(root).expanduser()
    except RuntimeError:  # ~name, where nobody has that name
        path = Path(root)
    if not path.is_dir():
        raise DataError(f"Expected data.root to be a folder with {holds}, but found {_instead(path, root)}.")
    return path.resolve()


def _instead(path: Path, root: str) -> str:
    """Say what is there instead of a folder, and what to do."""
    suffix = path.suffix.lower()
    if not path.is_file():
        return f"none at {root}; set data.root=PATH"
    if suffix in ARCHIVES:
        return f"an archive at {root}; unpack it, and set data.root to the folder that comes of it"
    if suffix in VIDEOS:
        return f"a video at {root}; save its frames as images in folders, and set data.root to where these are"
    return f"a file at {root}; set data.root to a folder, such as {path.resolve().parent}"


def require_place(key: str, place: str | None) -> None:
    """Refuse a folder that can neither be written to nor made.

    Raises:
        DataError: What stands in its way.
    """
    if not place:
        return
    path = Path(place).absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    if not path.is_dir() or not os.access(path, os.W_OK):
        what = "which may not be written to" if path.is_dir() else "which is not a folder"
        raise DataError(f"Expected {key} to be a folder to write to, but found {place}, below {path}, {what}.")
