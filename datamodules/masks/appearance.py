"""What images look like: masks or photographs, told from their values where a name leaves it open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from datamodules.errors import UnreadableImageError
from datamodules.files.images import read_image

from .reading import LABELS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from datamodules.files.images import Array

EXAMINED = 3  # images of a folder
_NEAR = 0.1  # of the range of values: what a softened or noisy mask departs from black and white
_PHOTOGRAPH = 0.5  # of the pixels at most lie so near to black or white in a photograph


def are_masks(paths: Sequence[Path]) -> bool:
    """Tell whether all images of a folder that are looked at have few values, and one of them marks something."""
    counts = [len(np.unique(values)) for values in _some(paths)]
    return bool(counts) and max(counts) <= LABELS and max(counts) > 1


def are_photographs(paths: Sequence[Path]) -> bool:
    """Tell whether all images of a folder that are looked at have many values, most of them neither black nor white."""
    images = _some(paths)
    return bool(images) and all(_is_photograph(values) for values in images)


def has_few_values(path: Path) -> bool:
    """Tell whether an image has so few values that it can only be a map of labels."""
    return any(len(np.unique(values)) <= LABELS for values in _some([path]))


def _is_photograph(values: Array) -> bool:
    if len(np.unique(values)) <= LABELS:
        return False
    low, high = float(values.min()), float(values.max())
    near = np.minimum(values - low, high - values) <= _NEAR * (high - low)
    return bool(near.mean() < _PHOTOGRAPH)


def _some(paths: Sequence[Path]) -> list[Array]:
    """Read some images, from first to last; of colours, the brightest channel counts."""
    chosen = sorted({round(index) for index in np.linspace(0, len(paths) - 1, EXAMINED)}) if paths else []
    found = []
    for index in chosen:
        try:
            values = read_image(paths[index])
        except UnreadableImageError:
            continue
        found.append((values if values.ndim == 2 else values.max(axis=2)).astype(np.float64))
    return found
