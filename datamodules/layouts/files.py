"""The files below a root, walked through once: images, and what may hold their labels."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.errors import UnreadableImageError
from datamodules.folder import MASK_FOLDERS, list_folder
from datamodules.images import is_image
from datamodules.outlines.documents import SUFFIXES
from datamodules.outlines.parsing import load_json

if TYPE_CHECKING:
    from datamodules.outlines.names import Parts

SUMMARY = "dataset_summary.json"
LABEL_FOLDERS = ("labels", "annotations")
_SYSTEMS = ("__macosx", "@eadir", "$recycle.bin")  # of archives and file servers: copies that nobody made on purpose


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
    for entry in list_folder(folder, problems):
        suffix = entry.suffix.lower()
        if entry.name.startswith(".") or entry.name.lower() in _SYSTEMS:
            continue
        if is_image(entry) and not entry.is_dir():
            if mask_folder is None:
                tree.images.append(entry)
            else:
                tree.masks[mask_folder] += 1
        elif suffix in SUFFIXES and not entry.is_dir():
            if entry.name != SUMMARY:
                tree.documents.append(entry)
        elif entry.is_dir():
            if entry.is_symlink() and Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(entry)):
                problems.append(UnreadableImageError(entry, "is a link to a folder that it lies in", "delete the link"))
                continue
            is_masks = entry.name.lower() in {*MASK_FOLDERS, *LABEL_FOLDERS}
            _walk(entry, tree, mask_folder or (entry if is_masks else None), problems)
