"""The folder of a data set, or what is there instead."""

from __future__ import annotations

from pathlib import Path

from datamodules.errors import DataError

from .suffixes import ARCHIVES, VIDEOS


def existing_root(root: str, holds: str) -> Path:
    """Return ``root`` as an absolute path.

    Raises:
        DataError: It is not a folder; ``holds`` says what it should contain.
    """
    path = Path(root).expanduser()
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
