"""Images that belong together: what a split by single images would tear apart, and names that tell it.

Frames of one sequence, tiles of one image and shots of one part resemble each other. Where some are trained on and
others tested, the test measures memory. Loupe never splits a group; this finds groups that nobody declared.

Letters: N images, D numbers that describe each.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = npt.NDArray[np.float32]

TELLING = 0.4
"""Kappa from which on a part of the names tells which images resemble each other."""

_SEPARATORS = re.compile(r"[_\-\s,.]+")
_TILE = re.compile(
    r"^(?P<source>.+?)"
    r"(?:[_\-. ](?:tile|patch|crop)s?[_\-]?\d+(?:[_\-,x]\d+)*"  # plate_tile3, plate-patch_2_5
    r"|[_\-. ]r(?:ow)?[_\-]?\d+[_\-,]?c(?:ol)?[_\-]?\d+"  # plate_r2_c5
    r"|[_\-. ][xy][_\-=]?\d+[_\-,]?[xy][_\-=]?\d+"  # plate_x640_y0
    r"|[_\-. ]\d+,\d+)$",  # Array_1Crop_2,5
    re.IGNORECASE,
)
_MOST_CHANCE = 0.3
_MOST_IMAGES = 2000  # compared pair by pair


class TellingPart(NamedTuple):
    """A part of the file names that tells which images belong together.

    Attributes:
        example: What the part reads in the first name.
        value_N: What it reads in every name.
        groups: Different readings.
        kappa: How much more often than by chance the most similar image reads the same: 0 by chance, 1 always.
    """

    example: str
    value_N: list[str]
    groups: int
    kappa: float


def expected_cuts(group_N: Sequence[str], shares: Sequence[float]) -> tuple[int, float]:
    """Count the groups of several images, and how many of them a split by single images would cut on average.

    A group of m images stays whole with the chance that all of them land in one split, the sum of ``share ** m``.

    Args:
        group_N: Group of every image.
        shares: Of the splits, summing to one.
    """
    sizes = pd.Series(list(group_N), dtype="object").value_counts().to_numpy()
    sizes = sizes[sizes > 1]
    whole = np.power.outer(np.asarray(shares, dtype=np.float64), sizes).sum(axis=0)
    return len(sizes), float((1 - whole).sum())


def cut_groups(group_N: Sequence[str], split_N: Sequence[str]) -> list[str]:
    """List the groups whose images lie in more than one split."""
    splits: dict[str, set[str]] = {}
    for group, split in zip(group_N, split_N, strict=True):
        splits.setdefault(group, set()).add(split)
    return sorted(group for group, found in splits.items() if len(found) > 1)


def tile_sources(name_N: Sequence[str]) -> list[str]:
    """Return the image that each tile was cut from, as its name tells: ``part7_0,1.png`` comes from ``part7``.

    Names that do not look like a tile's, and those that are the only one of their image, give an empty text.
    """
    sources = []
    for name in name_N:
        # The folder says nothing about the source: the tiles of one image may lie in those of several classes.
        file = name.rpartition("/")[2]
        match = _TILE.match(file.rpartition(".")[0] or file)
        sources.append(match["source"] if match else "")
    counts = pd.Series(sources, dtype="object").value_counts()
    return [source if source and counts[source] > 1 else "" for source in sources]


def telling_part(name_N: Sequence[str], described_ND: Floats, seed: int) -> TellingPart | None:
    """Find the part of the names, one field or two neighbouring ones, that tells best which images are alike.

    A part tells if the most similar image often has the same reading: agreement beyond chance (kappa) is above 0.4.

    Args:
        name_N: Paths of the images.
        described_ND: What they look like, of length 1 (``duplicates.describe``).
        seed: Draws the images to compare, where there are more than two thousand.

    Returns:
        The best part, or None where no part of the names tells enough.

    Source of kappa: Cohen, "A coefficient of agreement for nominal scales", 1960.
    """
    fields = [tuple(_SEPARATORS.split(name.rsplit("/", 1)[-1].rpartition(".")[0])) for name in name_N]
    width = min((len(field) for field in fields), default=0)
    rows = np.sort(np.random.default_rng(seed).permutation(len(name_N))[:_MOST_IMAGES])
    readings = [
        ["_".join(field[start : start + size]) for field in fields]
        for size in (1, 2)
        for start in range(width - size + 1)
    ]
    readings = [values for values in readings if 2 <= len(set(values)) <= len(values) // 2]
    # One half of all images is not a sequence: a part of few readings names a camera, a side or a label.
    readings = [values for values in readings if chance_of(values) <= _MOST_CHANCE]
    if not readings:
        return None
    alike_NN = described_ND[rows] @ described_ND[rows].T
    np.fill_diagonal(alike_NN, -np.inf)
    nearest_N = alike_NN.argmax(axis=1)
    parts = [
        TellingPart(values[0], values, len(set(values)), agreement(np.array(values)[rows], nearest_N))
        for values in readings
    ]
    best = max(parts, key=lambda part: part.kappa)
    return best if best.kappa >= TELLING else None


def chance_of(value_N: npt.ArrayLike) -> float:
    """Compute the chance that two images drawn at random have the same value."""
    _, counts = np.unique(np.asarray(value_N), return_counts=True)
    total = int(counts.sum())
    return float((counts * (counts - 1)).sum() / max(1, total * (total - 1)))


def agreement(value_N: npt.NDArray[np.str_], nearest_N: npt.NDArray[np.intp]) -> float:
    """Measure how much more often than by chance the nearest image has the same value: 0 by chance, 1 always."""
    chance = chance_of(value_N)
    agree = float((value_N == value_N[nearest_N]).mean())
    return (agree - chance) / (1 - chance) if chance < 1 else 0.0
