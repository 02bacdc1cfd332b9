"""The files below a root, walked through once: images, and what may hold their labels."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.errors import UnreadableImageError
from datamodules.masks.naming import is_mask_folder
from datamodules.outlines.documents import SUFFIXES
from datamodules.outlines.parsing import load_json
from datamodules.suffixes import is_hidden, is_image, unread_file

if TYPE_CHECKING:
    from datamodules.outlines.names import Parts

SUMMARY = "dataset_summary.json"
LABEL_FOLDERS = ("labels", "annotations")


@dataclass(frozen=True)
class Tree:
    """What lies below a root, hidden files and folders aside; paths are sorted.

    Attributes:
        root: The folder.
        images: Image files, but for those in folders of masks or labels.
        documents: Files that may hold labels.
        masks: Number of images in every folder of masks or labels.
    """

    root: Path
    images: list[Path] = field(default_factory=list)
    documents: list[Path] = field(default_factory=list)
    masks: dict[Path, int] = field(default_factory=lambda: defaultdict(int))

    def parts(self, path: Path) -> Parts:
        """Return folders and name of a path below the root, faster than ``Path.relative_to``."""
        return path.parts[len(self.root.parts) :]

    def name(self, path: Path) -> str:
        """Return a path below the root as text."""
        return "/".join(self.parts(path))


def read_summary(root: Path) -> dict[str, Any]:
    """Read what ``loupe prepare`` wrote about a folder; empty where it wrote nothing.

    Raises:
        UnreadableImageError: The file is there, and cannot be read.
    """
    path = root / SUMMARY
    content = load_json(path) if path.is_file() else {}
    return content if isinstance(content, dict) else {}


def walk_tree(root: Path, problems: list[UnreadableImageError]) -> Tree:
    """Find every image and document below ``root``; folders that cannot be read are added to ``problems``."""
    tree = Tree(root)
    _walk(root, tree, None, problems)
    return tree


def _walk(folder: Path, tree: Tree, mask_folder: Path | None, problems: list[UnreadableImageError]) -> None:
    for entry in _entries(folder, problems):
        path = folder / entry.name
        if is_hidden(path):
            continue
        if entry.is_dir():
            if entry.is_symlink() and Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(path)):
                problems.append(UnreadableImageError(path, "is a link to a folder that it lies in", "delete the link"))
                continue
            _walk(path, tree, mask_folder or (path if is_mask_folder(entry.name) else None), problems)
        elif not is_image(path):
            if path.suffix.lower() in SUFFIXES:
                tree.documents.extend([path] if entry.name != SUMMARY else [])
            elif (unread := unread_file(path)) is not None:
                problems.append(unread)
        elif mask_folder is None:
            tree.images.append(path)
        else:
            tree.masks[mask_folder] += 1


def _entries(folder: Path, problems: list[UnreadableImageError]) -> list[os.DirEntry[str]]:
    """List a folder by name; its entries know what they are without asking the disk again."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=attrgetter("name"))
    except OSError as error:
        said, remedy = f"is a folder that cannot be read ({error.strerror})", "allow reading it, or move it away"
        problems.append(UnreadableImageError(folder, said, remedy))
        return []
