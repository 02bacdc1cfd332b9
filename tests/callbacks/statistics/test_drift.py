"""The test of whole sets: right under the null hypothesis, by groups, with power where one fact of many has moved."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from callbacks.statistics.drift import ALARM, compare_sets

if TYPE_CHECKING:
    import numpy.typing as npt

RNG = np.random.default_rng(0)


def draw(groups: int, per_group: int, facts: int = 3, shift: float = 0.0) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Images whose groups differ more than they do within; the first fact is shifted."""
    group_N = np.repeat(np.arange(groups), per_group)
    value_NF = RNG.normal(size=(groups, facts))[group_N] + 0.2 * RNG.normal(size=(len(group_N), facts))
    value_NF[:, 0] += shift
    return value_NF, group_N


def test_false_alarms_are_as_rare_as_promised_though_groups_hang_together() -> None:
    p = np.array([compare_sets(*draw(12, 6), *draw(7, 9)).p_value for _ in range(150)])
    assert (p <= ALARM).mean() <= 0.06
    assert (p <= 0.2).mean() == pytest.approx(0.2, abs=0.1)  # and it is not an empty promise


def test_a_shift_of_one_fact_is_found_and_named() -> None:
    found = compare_sets(*draw(20, 3), *draw(15, 3, shift=2.5))
    assert found.drifted
    assert found.by_fact[0] == found.p_value
    assert found.by_fact[0] < min(found.by_fact[1:])


def test_all_choices_of_few_groups_are_counted() -> None:
    """Against a literal enumeration of one fact."""
    reference, reference_group = draw(5, 1, facts=1)
    moved, moved_group = draw(4, 1, facts=1, shift=1.0)
    found = compare_sets(reference, reference_group, moved, moved_group)
    ranks = np.argsort(np.argsort(np.concatenate([reference, moved])[:, 0])) / 10
    observed = abs(ranks[5:].mean() - ranks[:5].mean())
    sides = [list(chosen) for chosen in itertools.combinations(range(9), 4)]
    beyond = [abs(ranks[side].mean() - np.delete(ranks, side).mean()) >= observed - 1e-12 for side in sides]
    assert found.p_value == pytest.approx(np.mean(beyond))


def test_one_fact_without_groups_agrees_with_mann_whitney() -> None:
    one, other = draw(40, 1, facts=1), draw(30, 1, facts=1, shift=0.6)
    found = compare_sets(*one, *other)
    expected = mannwhitneyu(one[0][:, 0], other[0][:, 0]).pvalue
    assert found.p_value == pytest.approx(expected, rel=0.3, abs=0.01)


def test_too_few_groups_say_nothing() -> None:
    found = compare_sets(*draw(3, 50), *draw(2, 50, shift=9.0))
    assert found.p_value is None
    assert not found.drifted


def test_unknown_and_constant_facts_neither_alarm_nor_end_it() -> None:
    reference, reference_group = draw(20, 1)
    moved, moved_group = draw(20, 1)
    reference[:15, 1] = np.nan
    moved[:, 2] = reference[:, 2] = 1.0
    assert compare_sets(reference, reference_group, moved, moved_group).by_fact[2] == 1
    moved[:, 1] = np.nan
    assert compare_sets(reference, reference_group, moved, moved_group).by_fact[1] == 1
    flat = np.ones((20, 3))
    assert compare_sets(flat, reference_group, flat, moved_group).p_value == 1
