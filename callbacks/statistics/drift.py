"""Whether a set of images differs from another as a whole: a permutation test over all facts at once.

Each fact is compared by the difference of mean ranks (Mann and Whitney, "On a test of whether one of two random
variables is stochastically larger than the other", Ann. Math. Stat. 18, 1947), which no outlier and no unit of a fact
can sway. Groups change sides whole, since the frames of one sequence are not independent. The largest difference of all
facts is compared with the largest of each permutation, which holds the rate of false alarms over all facts without any
assumption on how they hang together (Westfall and Young, "Resampling-Based Multiple Testing", 1993), where Holm's
correction would give power away: sharpness, contrast and brightness move together.

Of few groups that test cannot say much: four beside nine are chosen in 715 ways, in a few of which chance makes some
fact or other as extreme. Limits of single images say more, since they rest on what tails are like: a fresh group lies
beyond one with a known rate, so a share of groups lies there with at most that rate over the share (Markov), however
they hang together. Each of both says its part (Bonferroni).

Letters: N images, F facts, G groups, P permutations.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

PERMUTATIONS = 1999
ALARM = 0.03  # p value at which a set is said to have drifted
TESTS = 2  # that it comes from: of ranks, and of limits
Floats = npt.NDArray[np.float64]


class Drift(NamedTuple):
    """What the test found.

    Attributes:
        p_value: Of the set; None where there are too few groups for one as small as ``ALARM``.
        by_fact: Adjusted for all of them; 1 where a fact is not known on both sides, or does not vary.
        images: That were compared with the reference.
        groups: They fall into.
    """

    p_value: float | None
    by_fact: tuple[float, ...]
    images: int
    groups: int

    @property
    def drifted(self) -> bool:
        """Tell whether the set differs."""
        return self.p_value is not None and self.p_value <= ALARM


def compare_sets(
    reference_NF: Floats,
    reference_group_N: npt.NDArray[np.int64],
    set_NF: Floats,
    set_group_N: npt.NDArray[np.int64],
    seed: int = 0,
) -> Drift:
    """Compare a set with a reference.

    Args:
        reference_NF: Facts of the reference; NaN where unknown.
        reference_group_N: Its groups, by number.
        set_NF: Facts of the set.
        set_group_N: Its groups, by number; those of the reference are others, whatever their number.
        seed: Of the permutations.
    """
    first, second = _codes(reference_group_N), _codes(set_group_N)
    groups, moved = int(first.max(initial=-1)) + 1, int(second.max(initial=-1)) + 1
    ways = math.comb(groups + moved, moved)
    nothing = (1.0,) * reference_NF.shape[1]
    if not groups or not moved or ways * ALARM < TESTS:
        return Drift(None, nothing, len(set_NF), moved)
    value_NF = np.concatenate([reference_NF, set_NF])
    sum_GF, count_GF = _rank_sums(value_NF, np.concatenate([first, second + groups]), groups + moved)
    order_G = np.concatenate([_by_value(sum_GF[:groups]), groups + _by_value(sum_GF[groups:])])
    sum_GF, count_GF = sum_GF[order_G], count_GF[order_G]
    side_PG = _sides(groups, moved, seed)
    difference_PF = _differences(side_PG, sum_GF, count_GF)
    spread_F = difference_PF.std(axis=0)
    known_F = spread_F > 0
    if not known_F.any():
        return Drift(1.0, nothing, len(set_NF), moved)
    standard_PF = np.abs(difference_PF[:, known_F]) / spread_F[known_F]
    largest_P = standard_PF.max(axis=1)
    p_F = np.ones(len(known_F))
    p_F[known_F] = (largest_P[:, None] >= standard_PF[0] - 1e-12).mean(axis=0)  # the first one is the observed one
    return Drift(float(p_F.min()), tuple(float(p) for p in p_F), len(set_NF), moved)


def with_limits(drift: Drift, beyond_GF: npt.NDArray[np.bool_], rate: float) -> Drift:
    """Join what ranks say of a set with how many of its groups lie beyond limits.

    Args:
        drift: By ranks.
        beyond_GF: Whether a group of the set has an image beyond the limits of a fact.
        rate: Of fresh groups that have one beyond any limit.
    """
    share_F = beyond_GF.mean(axis=0) if len(beyond_GF) else np.zeros(beyond_GF.shape[1])
    share = float(beyond_GF.any(axis=1).mean()) if len(beyond_GF) else 0.0
    by_limits = _at_most(rate, share)
    if drift.p_value is None:  # limits alone can say something, if they do
        known = by_limits <= ALARM
        by_fact = tuple(_at_most(rate, float(one)) for one in share_F)
        return drift._replace(p_value=by_limits, by_fact=by_fact) if known else drift
    by_fact = tuple(
        min(1.0, TESTS * min(p, _at_most(rate, float(one)))) for p, one in zip(drift.by_fact, share_F, strict=True)
    )
    return drift._replace(p_value=min(1.0, TESTS * min(drift.p_value, by_limits)), by_fact=by_fact)


def _at_most(rate: float, share: float) -> float:
    return min(1.0, rate / share) if share else 1.0


def _codes(group_N: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.unique(group_N, return_inverse=True)[1].astype(np.int64)


def _by_value(sum_GF: Floats) -> npt.NDArray[np.int64]:
    """Order groups by what is in them, and not by their names, which must not decide what is drawn."""
    return np.lexsort(np.round(sum_GF, 9).T).astype(np.int64)


def _sides(groups: int, moved: int, seed: int) -> Floats:
    """Say which groups may stand for the set, (P, G) of 0 and 1: all choices, or a draw; the first is the observed."""
    if math.comb(groups + moved, moved) <= PERMUTATIONS:
        chosen = list(itertools.combinations(range(groups + moved - 1, -1, -1), moved))  # the set's own come first
        side_PG = np.zeros((len(chosen), groups + moved))
        side_PG[np.arange(len(chosen))[:, None], np.array(chosen)] = 1.0
        return side_PG
    rng = np.random.default_rng(seed)
    order_PG = np.argsort(rng.random((PERMUTATIONS, groups + moved)), axis=1)
    drawn_PG = (order_PG < moved).astype(np.float64)
    observed_1G = (np.arange(groups + moved) >= groups).astype(np.float64)[None]
    return np.concatenate([observed_1G, drawn_PG])


def _rank_sums(value_NF: Floats, group_N: npt.NDArray[np.int64], groups: int) -> tuple[Floats, Floats]:
    """Sum ranks, and count known values, by group: (G, F) each. Ranks are shares of their number; ties share one."""
    sum_GF = np.zeros((groups, value_NF.shape[1]))
    count_GF = np.zeros_like(sum_GF)
    for fact, value_N in enumerate(value_NF.T):
        known_N = np.isfinite(value_N)
        rank_N = _ranks(value_N[known_N]) if known_N.any() else np.empty(0)
        np.add.at(sum_GF[:, fact], group_N[known_N], rank_N)
        np.add.at(count_GF[:, fact], group_N[known_N], 1.0)
    return sum_GF, count_GF


def _ranks(value_N: Floats) -> Floats:
    """Return ranks in (0, 1), ties by their mean."""
    _, inverse_N, count_U = np.unique(value_N, return_inverse=True, return_counts=True)
    last_U = np.cumsum(count_U)
    middle: Floats = (last_U - (count_U - 1) / 2)[inverse_N] / (len(value_N) + 1)
    return middle


def _differences(side_PG: Floats, sum_GF: Floats, count_GF: Floats) -> Floats:
    """Return the difference of mean ranks of both sides, (P, F); 0 where one side knows nothing of a fact."""
    set_sum_PF, set_count_PF = side_PG @ sum_GF, side_PG @ count_GF
    rest_sum_PF, rest_count_PF = sum_GF.sum(axis=0) - set_sum_PF, count_GF.sum(axis=0) - set_count_PF
    both_PF = (set_count_PF > 0) & (rest_count_PF > 0)
    mean_PF = set_sum_PF / np.maximum(set_count_PF, 1) - rest_sum_PF / np.maximum(rest_count_PF, 1)
    return np.where(both_PF, mean_PF, 0.0)
