"""The doctor on groups: what a split by single images would tear apart, and what the supplied one does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from callbacks.report.doctor import Finding
from callbacks.report.wording import plural
from datamodules.health.sequences import cut_groups, expected_cuts, telling_part, tile_sources
from datamodules.table import UNASSIGNED

from .examined import LEFT_OUT
from .images import MOST_PAIRS_SHOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .examined import Examined


def check_supplied_splits(examined: Examined) -> Finding | str:
    """Find groups that the data's own split cuts."""
    rows = [row for row, split in enumerate(examined.supplied) if split != UNASSIGNED]
    group = examined.table["group"].tolist()
    cut = cut_groups([group[row] for row in rows], [examined.supplied[row] for row in rows])
    if not cut:
        return "Groups that lie in more than one split."
    shown = [_first_across(cut_off, group, examined.table["split"].tolist()) for cut_off in cut[:MOST_PAIRS_SHOWN]]
    return Finding(
        "cut_groups",
        "problem",
        "The supplied splits cut groups",
        f"{plural(len(cut), 'group')} with pictures in more than one split: what is tested was partly trained on.",
        "Respects the splits that the data brings, even these.",
        "Move all pictures of a group to one split, or drop the supplied splits and let Loupe divide the groups.",
        len(cut),
        cut,
        examined.pair_sheet("", [pair for pair in shown if pair is not None]),
    )


def check_tiles(examined: Examined) -> Finding | str:
    """Find tiles of one image that lie in different splits, or only by chance in one."""
    source = tile_sources(examined.table["name"].tolist())
    tiles = [row for row, name in enumerate(source) if name]
    group, split = examined.table["group"].tolist(), examined.table["split"].tolist()
    apart = cut_groups([source[row] for row in tiles], [group[row] for row in tiles])
    used = [row for row in tiles if split[row] != LEFT_OUT]
    leaking = cut_groups([source[row] for row in used], [split[row] for row in used])
    if not apart and not leaking:
        return "Tiles of one picture in different groups or splits."
    pairs = [_first_across(name, source, split) for name in (leaking or apart)[:MOST_PAIRS_SHOWN]]
    return Finding(
        "tile_leak",
        "problem" if leaking else "warning",
        "Tiles of one picture are torn apart",
        f"By their names, {plural(len(set(source) - {''}), 'picture')} were cut into tiles; the tiles of "
        f"{len(leaking):,} of them lie in different splits, those of {len(apart):,} in different groups.",
        "Keeps groups whole, but trusts the groups that it is given.",
        "Give the tiles of one picture the same group (a subfolder, or the group column of labels.csv), or use the "
        "datamodule that cuts tiles by itself.",
        len(leaking or apart),
        leaking or apart,
        examined.pair_sheet("", [pair for pair in pairs if pair is not None]),
    )


def check_groups(examined: Examined) -> Finding | str:
    """Look for sequences: what a split by single images would cut, declared or not."""
    split = examined.datamodule.samples["split"]
    shares = split.value_counts(normalize=True).tolist()
    several, cut = expected_cuts(examined.table["group"].tolist(), shares)
    if several:
        largest = examined.table["group"].value_counts()
        return Finding(
            "groups",
            "note",
            "Groups that a split by single pictures would cut",
            f"{plural(several, 'group')} with several pictures, the largest ({largest.index[0]}) with "
            f"{int(largest.iloc[0]):,}. A random split by pictures would cut {cut:.0f} of them on average, and test on "
            "what it trained on.",
            "Splits by group: none is cut.",
            "Nothing, if the groups are the parts, sequences or builds that belong together.",
            several,
            [f"{name}: {int(count):,}" for name, count in largest[largest > 1].items()],
        )
    part = telling_part(examined.table["name"].tolist(), examined.described_ND, examined.datamodule.seed)
    if part is None or any(tile_sources(examined.table["name"].tolist())):
        return "Sequences that nobody declared as groups."
    _, cut = expected_cuts(part.value_N, shares)
    return Finding(
        "undeclared_groups",
        "warning",
        "The names tell groups that nobody declared",
        f"The part of the names that reads {part.example!r} in the first one tells which pictures resemble each other "
        f"(agreement beyond chance {part.kappa:.2f}). It has {part.groups:,} readings; splits by single pictures cut "
        f"{cut:.0f} of these {part.groups:,} groups on average.",
        "Takes every picture for a group of its own, so that pictures of one sequence land in training and in test.",
        "Declare the groups: a subfolder for each below the class folder, or a group column in labels.csv.",
        part.groups,
        sorted(set(part.value_N)),
        examined.pair_sheet("Neighbours of one reading", _neighbours(part.value_N, examined)),
    )


def _first_across(name: str, value_N: Sequence[str], split_N: Sequence[str]) -> tuple[int, int] | None:
    """Return the first two rows of one value, of different splits where there are such."""
    rows = [row for row, value in enumerate(value_N) if value == name]
    other = [row for row in rows[1:] if split_N[row] != split_N[rows[0]]] or rows[1:]
    return (rows[0], other[0]) if other else None


def _neighbours(value_N: Sequence[str], examined: Examined) -> list[tuple[int, int]]:
    """Return the most similar pair of each of the first few values."""
    pairs = []
    values = np.array(value_N)
    for value in sorted(set(value_N))[:MOST_PAIRS_SHOWN]:
        rows = np.flatnonzero(values == value)[:200]
        if rows.size > 1:
            alike = examined.described_ND[rows] @ examined.described_ND[rows].T
            np.fill_diagonal(alike, -np.inf)
            first, second = np.unravel_index(int(alike.argmax()), alike.shape)
            pairs.append((int(rows[first]), int(rows[second])))
    return pairs
