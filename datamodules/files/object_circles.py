"""The smallest circles that enclose sets of points, of any number of sets at once.

A circle is fixed by two or three of its points. From any circle, the farthest point outside joins those that fix it,
and the smallest circle of these four at most replaces it: its radius grows with every step, so that the steps end,
mostly after four to eight, at the one smallest circle. Exact to rounding, unlike single-precision searches.

Letters: P points of all sets, S sets, B points of a basis (4).

Source: Gärtner, "Fast and robust smallest enclosing balls", ESA 1999 (pivoting by the farthest point).
"""

from __future__ import annotations

from itertools import combinations
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Places: TypeAlias = npt.NDArray[np.intp]

SLACK = 1e-10  # relative, of a squared radius
STEPS = 1000  # far more than ever needed; rounding must not make it endless

_PAIRS = list(combinations(range(4), 2))
_TRIPLES = list(combinations(range(4), 3))


def enclosing_circles(point_P2: Floats, first_S: Places) -> tuple[Floats, Floats]:
    """Return centres (S, 2) and radii (S,) of the smallest circles around sets of points.

    Args:
        point_P2: The points of all sets, one set after the other.
        first_S: Where each set begins; none is empty.
    """
    count_S = np.diff(np.append(first_S, len(point_P2)))
    basis_S42 = np.repeat(point_P2[first_S][:, None], 4, axis=1)
    center_S2, square_S = point_P2[first_S].copy(), np.zeros(len(first_S))
    active = np.arange(len(first_S))
    for _ in range(STEPS):
        far_A, distance_A = _farthest(point_P2, first_S[active], count_S[active], center_S2[active])
        outside = distance_A > square_S[active] * (1 + SLACK) + SLACK
        active = active[outside]
        if not len(active):
            break
        basis_A42 = basis_S42[active]
        basis_A42[:, 3] = point_P2[far_A[outside]]
        center_S2[active], square_S[active], basis_S42[active] = _circle_of_four(basis_A42)
    return center_S2, np.sqrt(square_S)


def _farthest(point_P2: Floats, first_A: Places, count_A: Places, center_A2: Floats) -> tuple[Places, Floats]:
    """Return the index of the farthest point of every set from its centre, and its squared distance."""
    start_A = np.cumsum(count_A) - count_A
    which = np.repeat(first_A - start_A, count_A) + np.arange(count_A.sum())
    distance = np.square(point_P2[which] - np.repeat(center_A2, count_A, axis=0)).sum(axis=1)
    most_A = np.maximum.reduceat(distance, start_A)
    hit = np.flatnonzero(distance == np.repeat(most_A, count_A))
    chosen = hit[np.searchsorted(hit, start_A)]
    return which[chosen], most_A


def _circle_of_four(basis_A42: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the smallest circles of four points each: centres, squared radii, and the points that fix them.

    A place of a basis that nothing fixes repeats another; the last is free for the next point.
    """
    center_ACC = np.stack(
        [_center_of_two(*(basis_A42[:, index] for index in pair)) for pair in _PAIRS]
        + [_center_of_three(*(basis_A42[:, index] for index in triple)) for triple in _TRIPLES],
        axis=1,
    )
    square_ACB = np.square(center_ACC[:, :, None] - basis_A42[:, None]).sum(axis=3)
    own_AC = np.stack([square_ACB[:, index, some[0]] for index, some in enumerate([*_PAIRS, *_TRIPLES])], axis=1)
    encloses = (square_ACB <= (own_AC * (1 + SLACK) + SLACK)[:, :, None]).all(axis=2)
    best_A = np.where(encloses, own_AC, np.inf).argmin(axis=1)
    fixing = np.array([[*pair, pair[0], pair[0]] for pair in _PAIRS] + [[*some, some[0]] for some in _TRIPLES])
    rows = np.arange(len(basis_A42))
    return center_ACC[rows, best_A], own_AC[rows, best_A], basis_A42[rows[:, None], fixing[best_A]]


def _center_of_two(first_A2: Floats, second_A2: Floats) -> Floats:
    return (first_A2 + second_A2) / 2


def _center_of_three(first_A2: Floats, second_A2: Floats, third_A2: Floats) -> Floats:
    """Return the centres of circles through three points; not a number where they lie on a line."""
    b_A2, c_A2 = second_A2 - first_A2, third_A2 - first_A2
    double_A = 2 * (b_A2[:, 0] * c_A2[:, 1] - b_A2[:, 1] * c_A2[:, 0])
    bb_A, cc_A = np.square(b_A2).sum(axis=1), np.square(c_A2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        x_A = (c_A2[:, 1] * bb_A - b_A2[:, 1] * cc_A) / double_A
        y_A = (b_A2[:, 0] * cc_A - c_A2[:, 0] * bb_A) / double_A
    return np.asarray(first_A2 + np.stack([x_A, y_A], axis=1))
