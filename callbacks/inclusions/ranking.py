"""The order of areas over all maps by one key, and their deciles.

A key may span thirteen powers of ten, so that nearly all of its normalised values are 0: ranks and deciles say more.

Letters: A areas of all maps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from .spatial import stretched

if TYPE_CHECKING:
    from .gaps import Floats

DECILES = 10


class Ranked(NamedTuple):
    """Where areas stand among all.

    Attributes:
        rank_A: From 1, the highest value first; of equal ones, the first comes first.
        normalised_A: The values stretched to [0, 1].
        decile_A: 1 to 10: ``(decile - 1) 10 %`` to ``decile 10 %`` of the areas lie below. The upper end belongs to a
            decile and the lower one to that below, while MLography prints a value on an edge twice.
    """

    rank_A: npt.NDArray[np.intp]
    normalised_A: Floats
    decile_A: npt.NDArray[np.intp]


def ranked(value_A: Floats) -> Ranked:
    """Rank areas by their values of a key."""
    order = np.argsort(-value_A, kind="stable")
    rank_A = np.empty(len(value_A), np.intp)
    rank_A[order] = np.arange(1, len(value_A) + 1)
    normalised_A = stretched(value_A.astype(np.float64))
    if not len(value_A):
        return Ranked(rank_A, normalised_A, rank_A.copy())
    edges = np.percentile(normalised_A, np.arange(1, DECILES) * 100 / DECILES)
    return Ranked(rank_A, normalised_A, np.searchsorted(edges, normalised_A, side="left") + 1)


def decile_text(decile: int) -> str:
    """Say a decile as MLography does: ``90%-100%``."""
    return f"{(decile - 1) * 10}%-{decile * 10}%"
