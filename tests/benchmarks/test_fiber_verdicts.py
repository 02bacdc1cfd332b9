"""Verdicts on drawn end faces are the table's on the truth; a difference is within the size error."""

from __future__ import annotations

import pytest

from benchmarks.fiber_verdicts import judge, plan, rules_of, true_facts, truth_of
from datamodules.synthetic.measured_faces import Scratch, Speck


@pytest.mark.parametrize("first", [0, pytest.param(40, marks=pytest.mark.slow)])
def test_verdicts_are_those_on_the_truth(first: int) -> None:
    count = 12 if first == 0 else 160
    outcomes = [judge(number, seed=0) for number in range(first, first + count)]
    assert {one.true for one in outcomes} == {"accepted", "rejected"}
    assert sum(one.found == one.true for one in outcomes) >= 0.97 * count - 0.5
    assert all(one.why != "unexplained" for one in outcomes)


def test_the_truth_knows_what_of_a_thing_lies_in_each_zone() -> None:
    rules = rules_of("sm_pc")
    crossing = truth_of(Speck(57.5, 0.0, 6.0))  # its middle lies on the border of zones B and C
    (fact,) = true_facts([crossing], rules, 0, 0.0).defects or ()
    assert fact.inside is not None
    assert set(fact.inside) == {"B", "C"}
    for part in fact.inside.values():
        assert part["size_um"] == pytest.approx(6.0, abs=0.3)
    (moved,) = true_facts([crossing], rules, 1, 4.0).defects or ()
    assert moved.inside is not None
    assert set(moved.inside) == {"B"}
    assert moved.inside["B"]["size_um"] == pytest.approx(6.6, abs=0.2)
    (scratch,) = true_facts([truth_of(Scratch(0.0, 8.0, 0.0, 240.0, 2.0))], rules, 0, 0.0).defects or ()
    assert set(scratch.inside or {}) == {"A", "B", "C", "D"}


def test_faces_are_planned_the_same_again_and_things_lie_apart() -> None:
    connectors = {plan(number, 3)[0] for number in range(8)}
    assert connectors == {"sm_pc", "sm_apc", "mm", "multifiber"}
    assert plan(5, 3)[1] == plan(5, 3)[1]
    assert plan(5, 3)[1] != plan(5, 4)[1]
