"""Rules that mean nothing are refused, in one sentence."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import Any

import pytest

from callbacks.acceptance.facts import DEFECT_MEASURES
from callbacks.acceptance.judgement import Acceptance
from callbacks.acceptance.reading import read_rules, read_zones_um
from callbacks.acceptance.rules import CountRule
from callbacks.defects.measured import Defect

WRONG: list[tuple[Any, str]] = [
    ({}, "at least one rule, but found none"),
    ({"a": 3}, "group of keys, such as {verdict: good}, but found 3"),
    ({"a": {}}, "group of keys"),
    ({"a": {"verdikt": "good"}}, "did you mean 'verdict'?"),
    ({"a": {"verdict": "ok"}}, "verdict to be good or defective, but found 'ok'"),
    ({"a": {"verdict": "good", "otherwise": "accepted"}}, "otherwise to be rework or rejected"),
    ({"a": {"verdict": "good", "defects": {}, "at_most": 1}}, "one of verdict, "),
    ({"a": {"verdict": "good", "at_most": 1}}, "No key 'at_most'"),
    ({"a": {"at_most": 1}}, "one of verdict, "),
    ({"a": {"defects": {"aera": {"min": 1}}, "at_most": 0}}, "did you mean 'area'?"),
    ({"a": {"defects": {"area": {"mim": 1}}, "at_most": 0}}, "did you mean 'min'?"),
    ({"a": {"defects": {"area": 5}, "at_most": 0}}, "limits, such as {min: 2, max: 5}, but found 5"),
    ({"a": {"defects": {"area": {}}, "at_most": 0}}, "to have a limit"),
    ({"a": {"defects": [], "at_most": 0}}, "conditions, such as"),
    ({"a": {"defects": {}}}, "at_most or at_least, but found none"),
    ({"a": {"defects": {}, "at_most": -1}}, "whole number from 0, but found -1"),
    ({"a": {"defects": {}, "at_most": 1.5}}, "whole number from 0, but found 1.5"),
    ({"a": {"defects": {}, "at_most": True}}, "whole number from 0, but found True"),
    ({"a": {"defects": {}, "at_most": 1, "at_least": 2}}, "leave something between its limits"),
    ({"a": {"defects": {"zones": []}, "at_most": 1}}, "a list of names"),
    ({"a": {"defects": {"types": [None]}, "at_most": 1}}, "a list of names"),
    ({"a": {"defects": {"types": {"x": 1}}, "at_most": 1}}, "a list of names"),
    ({"a": {"min": "x"}}, "a finite number, but found 'x'"),
    ({"a": {"min": math.nan}}, "a finite number, but found nan"),
    ({"a": {"max": math.inf}}, "a finite number, but found inf"),
    ({"a": {"min": 5, "max": 3}}, "nothing is from 5 to 3"),
    ({"a": {"above": 3, "max": 3}}, "leave something between"),
    ({"a": {"measure": 3, "max": 3}}, "name of a measure of the part, but found 3"),
    ({"a": {"min": 1, "missing": "accepted"}}, "missing to be unknown, rework or rejected"),
]


@pytest.mark.parametrize(("rules", "said"), WRONG)
def test_wrong_rules_are_refused(rules: Any, said: str) -> None:
    """Each says where, what was expected and what was found, on one line."""
    with pytest.raises(ValueError, match=r"^(Expected|No key) .*") as caught:
        read_rules(rules)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "acceptance.rules" in str(caught.value)


@pytest.mark.parametrize("ring", [[5], [5, 3], [-1, 3], [0, math.inf], "A", {"a": 1}, [True, 3], [3, 3]])
def test_zones_that_are_no_rings_are_refused(ring: Any) -> None:
    with pytest.raises(ValueError, match=r"^Expected acceptance\.zones_um\.A to be an inner and a larger outer"):
        Acceptance({"model": {"verdict": "good"}}, zones_um={"A": ring})
    with pytest.raises(ValueError, match=r"^Expected acceptance\.zones_um to hold zones, such as"):
        read_zones_um([ring])


def test_rings_travel_as_plain_values() -> None:
    rules = Acceptance({"a": {"defects": {"zones": "A"}, "at_most": 0}}, zones_um={"A": [0, 25]})
    again = Acceptance(**json.loads(json.dumps(rules.to_dict())))
    assert again.rings == rules.rings == {"A": (0.0, 25.0)}
    assert again.asked_zones == {"A"}
    assert "zones_um" not in Acceptance({"model": {"verdict": "good"}}).to_dict()


def test_names_may_be_numbers_and_stand_alone() -> None:
    """Zones of Loupe's masks are numbers; one name needs no list."""
    (rule,) = read_rules({"a": {"defects": {"zones": [1, "B"], "types": "pit"}, "at_most": 0}})
    assert isinstance(rule, CountRule)
    assert rule.which.zones == ("1", "B")
    assert rule.which.types == ("pit",)


def test_measures_of_defects_are_known_by_name() -> None:
    """Whatever Loupe measures of a defect as a number of its own can be asked for."""
    about = {"defect", "x", "y", "left", "top", "box_width", "box_height", "orientation", "fragments", "um_per_pixel"}
    measured = {field.name for field in fields(Defect) if "float" in str(field.type)}
    assert measured - about <= set(DEFECT_MEASURES)
