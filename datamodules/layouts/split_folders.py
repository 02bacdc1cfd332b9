"""Folders named train, val and test where other folders mean something else: read as a split, or said not to be.

``train/images/a.png``, ``images/train/a.png`` and ``core_50um/train/a.png`` alike. They are a split only where every
image lies in one, and they name more than one; a split in a table goes before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datamodules.files.names import same_name
from datamodules.table import UNASSIGNED

from .class_words import SPLIT_FOLDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class SplitFolders:
    """What folders say of splits.

    Attributes:
        split_of: Of every image, where they are read as a split; empty otherwise.
        remark: What must be said first: that they are not; empty otherwise.
    """

    split_of: Mapping[Path, str] = field(default_factory=dict)
    remark: str = ""

    def of(self, image: Path) -> str:
        """Return the split of an image; unassigned where folders say none."""
        return self.split_of.get(image, UNASSIGNED)

    def others(self, folders: Sequence[str]) -> list[str]:
        """Return the folders of an image without the one that names its split."""
        named = next((folder for folder in folders if _split(folder)), None) if self.split_of else None
        left = list(folders)
        if named is not None:
            left.remove(named)
        return left


def split_folders(root: Path, images: Iterable[Path]) -> SplitFolders:
    """Read the folders of all images of a data set."""
    start = len(root.parts)
    split_of = {path: next(filter(None, map(_split, path.parts[start:-1])), "") for path in images}
    named = {split for split in split_of.values() if split}
    if len(named) < 2:
        return SplitFolders()
    beside = [path for path, split in split_of.items() if not split]
    if not beside:
        return SplitFolders(split_of)
    names = _names(root, split_of)
    first = "/".join(beside[0].parts[start:])
    others = f"{len(beside)} of {len(split_of)} images"
    return SplitFolders(
        remark=f"Folders such as {names} are not read as a split, since {others} lie in no "
        f"such folder ({first}): all are divided anew; move those into one, or away."
    )


def unread_splits(root: Path, images: Iterable[Path], instead: str) -> list[str]:
    """Say that folders which name splits are not read; ``instead`` says what is."""
    found = split_folders(root, images)
    remark = f"Folders such as {_names(root, found.split_of)} are not read as a split: {instead}."
    return [remark] if found.split_of else []


def _names(root: Path, images: Iterable[Path]) -> str:
    folders = dict.fromkeys(part for path in images for part in path.parts[len(root.parts) : -1] if _split(part))
    return " and ".join(f"{name}/" for name in list(folders)[:2])


def _split(folder: str) -> str:
    return SPLIT_FOLDERS.get(same_name(folder), "")
