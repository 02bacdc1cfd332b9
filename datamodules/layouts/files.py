"""The files below a root, walked through once: images, and what may hold their labels."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.errors import UnreadableImageError
from datamodules.files.drawings import find_drawings
from datamodules.files.suffixes import is_hidden, is_image, unread_file, unusable_name
from datamodules.files.walking import entries_of, is_folder, unusable_folder
from datamodules.masks.naming import is_mask_folder
from datamodules.outlines.documents import SUFFIXES
from datamodules.outlines.parsing import load_json

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


def is_prepared(root: Path) -> bool:
    """Tell whether ``loupe prepare`` wrote a folder, so that what it called images is known to be images."""
    try:
        return "prepared_by" in read_summary(root)
    except UnreadableImageError:
        return False


def is_evened(root: str | Path) -> bool:
    """Tell whether ``loupe prepare oring`` made the background of the images in a folder even."""
    try:
        settings = read_summary(Path(root).expanduser()).get("settings")
    except UnreadableImageError:
        return False
    return isinstance(settings, dict) and bool(settings.get("remove_background"))


def walk_tree(root: Path, problems: list[UnreadableImageError]) -> Tree:
    """Find every image and document below ``root``; folders that cannot be read are added to ``problems``."""
    tree = Tree(root)
    _walk(root, tree, None, problems)
    return tree


def _walk(folder: Path, tree: Tree, mask_folder: Path | None, problems: list[UnreadableImageError]) -> None:
    before = len(tree.images)
    own: list[Path] = []
    below: dict[Path, list[Path]] = {}
    for entry in entries_of(folder, problems):
        path = folder / entry.name
        if is_hidden(path):
            continue
        if is_folder(entry):
            if (problem := unusable_folder(path, folder, linked=entry.is_symlink())) is not None:
                problems.append(problem)
            else:
                start = len(tree.images)
                _walk(path, tree, mask_folder or (path if is_mask_folder(entry.name) else None), problems)
                below[path] = tree.images[start:]
            continue
        may_hold_labels = path.suffix.lower() in SUFFIXES and entry.name != SUMMARY
        if (problem := unusable_name(path) if may_hold_labels else unread_file(path)) is not None:
            problems.append(problem)
        elif may_hold_labels:
            tree.documents.append(path)
        elif is_image(path) and mask_folder is None:
            tree.images.append(path)
            own.append(path)
        elif is_image(path):
            tree.masks[mask_folder or folder] += 1
    if drawn := find_drawings(own, below, problems):
        tree.images[before:] = [path for path in tree.images[before:] if path not in drawn]
