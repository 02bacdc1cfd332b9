"""What labels teach: by how much the limit of each layer is moved, so that it parts labelled cells best.

Letters: N cells, T thresholds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .layers import CLASSES, classes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = npt.NDArray[np.floating]

FEWEST = 5  # labelled cells of a class, and of others, from which its limit is moved
WIDEST = 3.0  # times: a limit is moved no farther


def learn_factors(score_N4: Floats, truth_N: Sequence[str]) -> list[float]:
    """Return by what the limit of every layer is to be multiplied, in order; 1 where there is too little to learn from.

    Layers are taken in their order, each on the cells that those before it leave, and its limit is put into the middle
    of the gap that gives the best F1; of several, into the one nearest to where it was.

    Args:
        score_N4: Of labelled cells, in parts of the limits as they are.
        truth_N: Their classes, in any case.
    """
    truth = np.char.lower(np.array([str(name) for name in truth_N], dtype=np.str_))
    factors: list[float] = []
    left_N = np.ones(len(truth), dtype=np.bool_)
    for index, name in enumerate(CLASSES):
        wanted_N = truth[left_N] == name.lower()
        factors.append(best_limit(score_N4[left_N, index], wanted_N))
        left_N &= score_N4[:, index] < factors[-1]
    return factors


def best_limit(score_N: Floats, wanted_N: npt.NDArray[np.bool_]) -> float:
    """Return the threshold of the best F1 between 1 / ``WIDEST`` and ``WIDEST``; 1 where there is too little."""
    if min(wanted_N.sum(), (~wanted_N).sum()) < FEWEST:
        return 1.0
    order = np.unique(score_N)
    limit_T = np.concatenate([[1.0], (order[1:] + order[:-1]) / 2])
    limit_T = limit_T[(limit_T >= 1 / WIDEST) & (limit_T <= WIDEST)]
    taken_TN = score_N >= limit_T[:, None]
    both_T = (taken_TN & wanted_N).sum(axis=1)
    f1_T = 2 * both_T / np.maximum(taken_TN.sum(axis=1) + wanted_N.sum(), 1)
    best = limit_T[f1_T >= f1_T.max() - 1e-12]
    return float(best[np.argmin(np.abs(np.log(best)))])


def f1_by_class(truth_N: Sequence[str], found_N: Sequence[str]) -> dict[str, float]:
    """Return the F1 of every class that is there, in truth or as found, by its name in lower case."""
    truth, found = ([str(name).lower() for name in names] for names in (truth_N, found_N))
    scores = {}
    for name in sorted({*truth, *found}):
        both = sum(a == b == name for a, b in zip(truth, found, strict=True))
        scores[name] = 2 * both / (truth.count(name) + found.count(name))
    return scores


def confusion(truth_N: Sequence[str], found_N: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count cells by the class they have (outer) and the class they were given (inner), in lower case."""
    table: dict[str, dict[str, int]] = {}
    for wanted, predicted in zip(truth_N, found_N, strict=True):
        row = table.setdefault(str(wanted).lower(), {})
        row[str(predicted).lower()] = row.get(str(predicted).lower(), 0) + 1
    return table


def rescored(score_N4: Floats, factors: Sequence[float]) -> tuple[Floats, npt.NDArray[np.str_]]:
    """Return scores in parts of moved limits, and the classes that follow."""
    moved_N4 = score_N4 / np.asarray(factors)
    return moved_N4, classes_of(moved_N4)
