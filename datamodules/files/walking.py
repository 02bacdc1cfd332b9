"""Folders walked through once: images, in an order that never changes, and what cannot be used, with the reason."""

from __future__ import annotations

import os
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.errors import UnreadableImageError

from .drawings import find_drawings
from .own_output import own_output
from .suffixes import SUFFIXES, is_hidden, unread_file, unusable_name

if TYPE_CHECKING:
    from collections.abc import Sequence


def walk_images(folder: Path, problems: list[UnreadableImageError]) -> list[Path]:
    """Find every image below ``folder``, sorted.

    Hidden files and folders, and what systems leave behind, are passed over. Folders that cannot be read, files that
    may be images but are not read, names that no table could hold, and what is drawn over other images are added to
    ``problems``.
    """
    found: list[Path] = []
    own: list[Path] = []
    below: dict[Path, Sequence[Path]] = {}
    for entry in entries_of(folder, problems):
        path = Path(entry.path)
        if os.path.splitext(entry.name)[1].lower() in SUFFIXES and not is_folder(entry):  # noqa: PTH122 - 65,000 names
            if is_hidden(path):
                continue
            if (problem := unusable_name(path)) is None:
                own.append(path)
                found.append(path)
            else:
                problems.append(problem)
        elif is_folder(entry) and not is_hidden(path):
            below[path] = _below(path, folder, entry, problems)
            found += below[path]
        elif (problem := unread_file(path)) is not None:
            problems.append(problem)
    drawn = find_drawings(own, below, problems)
    return [path for path in found if path not in drawn] if drawn else found


def _below(path: Path, parent: Path, entry: os.DirEntry[str], problems: list[UnreadableImageError]) -> list[Path]:
    """Walk on into a folder, unless it cannot be used."""
    if (problem := unusable_folder(path, parent, linked=entry.is_symlink())) is not None:
        problems.append(problem)
        return []
    return walk_images(path, problems)


def list_folder(folder: Path, problems: list[UnreadableImageError]) -> list[Path]:
    """List a folder, sorted by name, without what is hidden; one that cannot be read counts as empty, and is named."""
    paths = [Path(entry.path) for entry in entries_of(folder, problems)]
    return [path for path in paths if not is_hidden(path)]


def entries_of(folder: Path, problems: list[UnreadableImageError]) -> list[os.DirEntry[str]]:
    """List a folder by name; its entries know what they are without asking the disk again."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=attrgetter("name"))
    except OSError as error:
        remedy = "allow reading it, or move it away"
        problems.append(UnreadableImageError(folder, f"is a folder that cannot be read ({error.strerror})", remedy))
        return []


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a folder, or a link to one; a link to itself is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def unusable_folder(path: Path, parent: Path, *, linked: bool) -> UnreadableImageError | None:
    """Say why a folder is not walked into: its name, a link back to where it lies, or that Loupe itself wrote it."""
    if linked and Path(os.path.realpath(parent)).is_relative_to(os.path.realpath(path)):
        return UnreadableImageError(path, "is a link to a folder that it lies in", "delete the link")
    if what := own_output(path):
        return UnreadableImageError(path, f"is {what}, which is not read as data", "move it out of data.root")
    return unusable_name(path)
