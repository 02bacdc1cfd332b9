"""Numbers in the order of layers: a running median, a level that changes, and where the order breaks off.

Ships without torch: pages of print jobs use it. Letters: N layers of a sequence, R random orders.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import median_filter

if TYPE_CHECKING:
    import numpy.typing as npt

    from .curves import FloatArray

FEWEST = 4  # layers of a sequence: fewer have no level to change


class Change(NamedTuple):
    """Where a sequence changes its level.

    Attributes:
        place: Of the first layer of the new level, from 0; at least 1.
        before: Median score up to there.
        after: Median score from there on.
        p: Share of random orders, counting the one that was found, in which the level changes as much.
    """

    place: int
    before: float
    after: float
    p: float


def running_median(score_N: npt.ArrayLike, width: int) -> FloatArray:
    """Return the median of each element and its neighbours, (N,); the ends stand for what lies beyond them."""
    return np.asarray(median_filter(np.asarray(score_N, dtype=np.float64), size=width, mode="nearest"))


def cumulative_sum(score_N: npt.ArrayLike) -> FloatArray:
    """Return the cumulative sum of the deviations from the mean, (N,): it turns where a level changes.

    Source: Page, Continuous inspection schemes, Biometrika 41 (1954).
    """
    score_N = np.asarray(score_N, dtype=np.float64)
    return np.cumsum(score_N - score_N.mean())


def change_point(score_N: npt.ArrayLike, orders: int = 999, seed: int = 0) -> Change | None:
    """Find the place where the level of a sequence changes most; None of fewer than four elements.

    There the cumulative sum of ranks, which single outliers do not move, is farthest from 0: Pettitt, A non-parametric
    approach to the change-point problem, Applied Statistics 28 (1979). The p value is that of random orders.

    Args:
        score_N: In order, finite.
        orders: Random ones.
        seed: Of these.
    """
    score_N = np.asarray(score_N, dtype=np.float64)
    if score_N.size < FEWEST:
        return None
    rank_N = _ranks(score_N)
    sum_N = np.abs(cumulative_sum(rank_N))[:-1]
    place = int(sum_N.argmax()) + 1
    order_RN = np.random.default_rng(seed).permuted(np.tile(rank_N - rank_N.mean(), (orders, 1)), axis=1)
    largest_R = np.abs(np.cumsum(order_RN, axis=1)).max(axis=1)
    reached = int((largest_R >= sum_N.max() - 1e-9).sum())
    before, after = float(np.median(score_N[:place])), float(np.median(score_N[place:]))
    return Change(place, before, after, (reached + 1) / (orders + 1))


def _ranks(score_N: FloatArray) -> FloatArray:
    """Rank from 1; equals share their mean rank."""
    _, inverse_N, count = np.unique(score_N, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[inverse_N], dtype=np.float64)


def unbroken(layer_N: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cut a sequence where a layer is missing; from, and up to but without, in places.

    Neighbours are the most common step apart: 20 where every twentieth layer was kept.
    """
    if layer_N.size < 2:
        return [(0, layer_N.size)]
    step_N = np.diff(layer_N)
    usual = Counter(step_N.tolist()).most_common(1)[0][0]
    cuts = [0, *(np.flatnonzero(step_N != usual) + 1).tolist(), layer_N.size]
    return list(pairwise(cuts))
