"""Severity: the first rule that holds, and nothing where nobody can tell."""

from __future__ import annotations

from typing import Any

import pytest

from callbacks.defects.severity import check_rules, severity_of

FIBER: list[dict[str, Any]] = [{"name": "MEDIUM", "min_area": 100.0}, {"name": "LOW"}]


def measures(**changes: Any) -> dict[str, Any]:
    usual = {"area": 50.0, "length": 12.0, "width": 5.0, "zone": 2, "area_um2": None, "length_um": None}
    return usual | {"width_um": None} | changes


@pytest.mark.parametrize(("area", "expected"), [(99.9, "LOW"), (100.0, "MEDIUM"), (5000.0, "MEDIUM"), (1.0, "LOW")])
def test_the_first_rule_that_holds_gives_its_name(area: float, expected: str) -> None:
    assert severity_of(FIBER, measures(area=area)) == expected


def test_all_conditions_of_a_rule_must_hold() -> None:
    rules: list[dict[str, Any]] = [
        {"name": "reject", "zones": [1, 2], "min_length": 10, "kinds": ["single"]},
        {"name": "note"},
    ]
    assert severity_of(rules, measures(), "single") == "reject"
    assert severity_of(rules, measures(), "multi") == "note"
    assert severity_of(rules, measures(zone=3), "single") == "note"
    assert severity_of(rules, measures(length=9.9), "single") == "note"
    assert severity_of(rules[:1], measures(zone=3), "single") == ""
    assert severity_of([], measures()) == ""


def test_micrometres_without_a_scale_leave_it_open() -> None:
    rules: list[dict[str, Any]] = [{"name": "reject", "min_width_um": 3.0}, {"name": "pass"}]
    assert severity_of(rules, measures(width_um=4.0)) == "reject"
    assert severity_of(rules, measures(width_um=2.0)) == "pass"
    assert severity_of(rules, measures()) == ""
    decided: list[dict[str, Any]] = [{"name": "reject", "min_width_um": 3.0, "min_area": 1000}, {"name": "pass"}]
    assert severity_of(decided, measures()) == "pass"  # its area is too small, whatever its width


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"min_area": 3}, "to have a name"),
        ({"name": "x", "min_aera": 3}, "did you mean 'min_area'"),
        ({"name": "x", "min_area": "large"}, "0 or more"),
        ({"name": "x", "min_area": -1}, "0 or more"),
        ({"name": "x", "zones": 1}, "to be a list"),
    ],
)
def test_rules_that_mean_nothing_are_refused(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_rules([rule])
