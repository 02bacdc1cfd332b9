"""Masks that lie beside their images, in the same folder: by their names, or by what is in them.

``Part0.jpg`` with ``Part0_label.bmp``, as in KolektorSDD; ``exp1.jpg`` with ``exp1.png``, as in Magnetic-Tile-Defect.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from datamodules.errors import UnreadableImageError
from datamodules.files.names import same_name

from .appearance import has_few_values
from .naming import in_mask_folder, joined_stem, mask_stem

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path


def masks_beside(images: Iterable[Path]) -> set[Path]:
    """Tell which of the images are the masks of others in their folder."""
    folders: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for path in images:
        folders[path.parts[:-1]].append(path)
    return {mask for paths in folders.values() for mask in _in_folder(paths)}


def apart_from_masks(root: Path, paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Tell images and masks apart: by their folder, their names or their look; return both in their order."""
    beside = masks_beside(paths)
    masks = [path for path in paths if path in beside or in_mask_folder(path.parts[len(root.parts) : -1])]
    left = set(paths) - set(masks)
    return [path for path in paths if path in left], masks


def without_masks(root: Path, paths: Sequence[Path], data: str) -> tuple[list[Path], list[UnreadableImageError]]:
    """Take masks out of the images of a data set that reads none: by their folder, their names or their look.

    Returns:
        The images, and what is said of the masks.
    """
    images, masks = apart_from_masks(root, paths)
    remedy = "use data=folder for masks, or rename it if it is an image"
    problems = [UnreadableImageError(path, f"is a mask, which data={data} does not read", remedy) for path in masks]
    return images, problems


def _in_folder(paths: list[Path]) -> set[Path]:
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        by_stem[same_name(path.stem)].append(path)
    found = set()
    for stem, alike in by_stem.items():
        if any(ending is not None and ending[0] in by_stem for ending in (mask_stem(stem), joined_stem(stem))):
            found.update(alike)
    for alike in by_stem.values():
        if len(alike) == 2:
            found |= _the_mask_of(*alike)
    return found | _by_appearance(by_stem, found)


def _by_appearance(by_stem: Mapping[str, list[Path]], known: Container[Path]) -> set[Path]:
    """Tell which images are masks by their look, such as ``000_defekt`` beside ``000``.

    Of those that go on alike, three are looked at: they have few values, and the images whose names they continue many.
    """
    behind: dict[str, list[tuple[Path, Path]]] = defaultdict(list)
    for stem, shorter in _continued(by_stem):
        ending = stem[len(shorter) :]
        if re.search(r"[^\W\d_]", ending):  # with a letter: numbers go on by themselves
            pairs = [(path, by_stem[shorter][0]) for path in by_stem[stem] if path not in known]
            behind[re.sub(r"\d+$", "", ending)] += pairs
    found: set[Path] = set()
    for pairs in behind.values():
        seen = [pairs[index] for index in {0, len(pairs) // 2, len(pairs) - 1}] if pairs else []
        if seen and all(has_few_values(mask) and not has_few_values(image) for mask, image in seen):
            found.update(mask for mask, _ in pairs)
    return found


def _continued(stems: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield stems with the longest other one that they begin with."""
    open_ones: list[str] = []
    for stem in sorted(stems):
        while open_ones and not stem.startswith(open_ones[-1]):
            open_ones.pop()
        if open_ones:
            yield stem, open_ones[-1]
        open_ones.append(stem)


def _the_mask_of(first: Path, second: Path) -> set[Path]:
    """Return the one of two images of a stem that looks like a mask, while the other does not; none where unclear."""
    labels = [path for path in (first, second) if has_few_values(path)]
    return set(labels) if len(labels) == 1 else set()
