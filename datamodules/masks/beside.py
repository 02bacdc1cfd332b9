"""Masks that lie beside their images, in the same folder: by their names, or by what is in them.

``Part0.jpg`` with ``Part0_label.bmp``, as in KolektorSDD; ``exp1.jpg`` with ``exp1.png``, as in Magnetic-Tile-Defect.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from datamodules.outlines.names import same_name

from .looks import has_few_values
from .naming import mask_stem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def masks_beside(images: Iterable[Path]) -> set[Path]:
    """Tell which of the images are the masks of others in their folder."""
    folders: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for path in images:
        folders[path.parts[:-1]].append(path)
    return {mask for paths in folders.values() for mask in _in_folder(paths)}


def _in_folder(paths: list[Path]) -> set[Path]:
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        by_stem[same_name(path.stem)].append(path)
    found = set()
    for stem, alike in by_stem.items():
        said = mask_stem(stem)
        if said is not None and said[0] in by_stem:
            found.update(alike)
    for alike in by_stem.values():
        if len(alike) == 2:
            found |= _the_mask_of(*alike)
    return found


def _the_mask_of(first: Path, second: Path) -> set[Path]:
    """Return the one of two images of a stem that looks like a mask, while the other does not; none where unclear."""
    looks = [path for path in (first, second) if has_few_values(path)]
    return set(looks) if len(looks) == 1 else set()
