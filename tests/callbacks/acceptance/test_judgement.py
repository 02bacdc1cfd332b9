"""Acceptance against an oracle: what is unknown is filled in with all that it could be, and judged in the open."""

from __future__ import annotations

import itertools
import json
import operator
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from callbacks.acceptance.facts import DefectFacts, Facts
from callbacks.acceptance.judgement import Acceptance, Judgement, worst

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SIZES = (1.0, 2.0, 3.0, 5.0, 7.0)  # on bounds, between them and beyond
ZONES, TYPES = ("A", "B"), ("scratch", "pit")
COMPARED = {"min": operator.ge, "max": operator.le, "above": operator.gt, "below": operator.lt}


def inside(limits: Mapping[str, float], value: float) -> bool:
    """Compare with every bound, one by one."""
    return all(COMPARED[bound](value, limit) for bound, limit in limits.items())


def expected(rules: Mapping[str, Any], facts: Facts) -> str:
    """Judge a part of which everything is known: slow, literal, and without a case for what is missing."""
    asked = ["accepted"]
    for rule in rules.values():
        if "kinds" in rule and facts.kind not in rule["kinds"]:
            continue
        if not _kept(rule, facts):
            asked.append(rule.get("otherwise", "rejected"))
    return max(asked, key=("accepted", "rework", "rejected").index)


def _kept(rule: Mapping[str, Any], facts: Facts) -> bool:
    if "verdict" in rule:
        return bool(facts.verdict == rule["verdict"])
    if "measure" in rule:
        value = facts.measures[rule["measure"]]
        assert value is not None
        return inside({bound: rule[bound] for bound in COMPARED if bound in rule}, value)
    assert facts.defects is not None
    count = sum(_counts(rule["defects"], defect) for defect in facts.defects)
    return bool(rule.get("at_least", 0) <= count <= rule.get("at_most", 1000))


def _counts(which: Mapping[str, Any], defect: DefectFacts) -> bool:
    if "types" in which and defect.type not in which["types"]:
        return False
    parts = [defect.measures]
    if "zones" in which:
        parts = [measures for zone, measures in (defect.inside or {}).items() if zone in which["zones"]]
    names = [name for name in ("width_um", "area") if name in which]
    return any(all(inside(which[name], part[name] or 0.0) for name in names) for part in parts)


def draw_rules(random_: random.Random) -> dict[str, Any]:
    """Draw one to three rules."""
    return {f"rule {index}": draw_rule(random_) for index in range(random_.randint(1, 3))}


def draw_rule(random_: random.Random) -> dict[str, Any]:
    """Draw a rule of any sort."""
    rule: dict[str, Any] = {"otherwise": random_.choice(["rework", "rejected"])}
    sort = random_.choice(["verdict", "measure", "defects", "defects"])
    if sort == "verdict":
        return rule | {"verdict": "good"}
    if sort == "measure":
        return rule | {"measure": random_.choice(["gap", "flash_um"])} | draw_limits(random_)
    which: dict[str, Any] = {}
    if random_.random() < 0.5:
        which["types"] = random_.sample(TYPES, random_.randint(1, 2))
    if random_.random() < 0.6:
        which["zones"] = random_.sample(ZONES, random_.randint(1, 2))
    for name in ("width_um", "area"):
        if random_.random() < 0.5:
            which[name] = draw_limits(random_)
    count = {random_.choice(["at_most", "at_least"]): random_.randint(0, 2)}
    return rule | {"defects": which} | count


def draw_limits(random_: random.Random) -> dict[str, float]:
    """Draw one or two bounds that leave something between them."""
    low, high = sorted(random_.sample(SIZES, 2))
    bounds = {random_.choice(["min", "above"]): low, random_.choice(["max", "below"]): high}
    return dict(random_.sample(sorted(bounds.items()), random_.randint(1, 2)))


def draw_sizes(random_: random.Random) -> dict[str, float]:
    """Draw what is measured of a defect."""
    return {name: random_.choice(SIZES) for name in ("width_um", "area")}


def draw_facts(random_: random.Random) -> Facts:
    """Draw a part of which everything is known."""
    defects = tuple(
        DefectFacts(
            number,
            draw_sizes(random_),
            random_.choice(TYPES),
            {zone: draw_sizes(random_) for zone in random_.sample(ZONES, random_.randint(0, 2))},
        )
        for number in range(1, random_.randint(1, 4))
    )
    measures = {"gap": random_.choice(SIZES), "flash_um": random_.choice(SIZES)}
    return Facts(random_.choice(["good", "defective"]), defects, measures=measures)


@pytest.mark.parametrize("seed", range(20))
def test_known_facts_give_what_the_rules_say(seed: int) -> None:
    """With nothing missing, the state is that of the slow oracle, and never unknown."""
    random_ = random.Random(seed)  # noqa: S311 - drawn inputs, no secrets
    for _ in range(200):
        rules, facts = draw_rules(random_), draw_facts(random_)
        found = Acceptance(rules)(facts)
        assert found.state == expected(rules, facts), (rules, facts)
        assert found.reasons
        assert bool(found.rules) is (found.state != "accepted")


def completions(facts: Facts, blank: Mapping[str, Any]) -> Iterator[Facts]:
    """Fill in what is unknown with everything that it could be."""
    names = list(blank)
    for values in itertools.product(*(blank[name] for name in names)):
        filled = dict(zip(names, values, strict=True))
        defects = tuple(
            replace(
                defect,
                type=filled.get(f"type {defect.number}", defect.type),
                measures={name: filled.get(f"{name} {defect.number}", v) for name, v in defect.measures.items()},
                inside=filled.get(f"zone {defect.number}", defect.inside),
            )
            for defect in facts.defects or ()
        )
        measures = {name: filled.get(name, value) for name, value in facts.measures.items()}
        yield replace(facts, verdict=filled.get("verdict", facts.verdict), defects=defects, measures=measures)


def forget(facts: Facts, random_: random.Random) -> tuple[Facts, dict[str, Any]]:
    """Make up to three facts unknown; return what each of them could be."""
    blank: dict[str, Any] = {}
    for _ in range(random_.randint(1, 3)):
        number = random_.randint(1, max(1, len(facts.defects or ())))
        options = {
            "verdict": ("good", "defective"),
            "gap": SIZES,
            f"type {number}": (*TYPES, "other"),
            f"width_um {number}": SIZES,
            f"zone {number}": ({}, *({zone: {"width_um": s, "area": s}} for zone in ZONES for s in SIZES)),
        }
        name = random_.choice(sorted(options))
        blank[name] = options[name]
    (hidden,) = completions(facts, {name: [None] for name in blank})
    return hidden, blank


@pytest.mark.parametrize("seed", range(10))
def test_what_is_unknown_never_passes(seed: int) -> None:
    """A state is given only where everything that the missing facts could be gives it."""
    random_ = random.Random(seed)  # noqa: S311 - drawn inputs, no secrets
    certain = 0
    for _ in range(60):
        rules, known = draw_rules(random_), draw_facts(random_)
        hidden, blank = forget(known, random_)
        state = Acceptance(rules)(hidden).state
        possible = {expected(rules, facts) for facts in completions(hidden, blank)}
        if state != "unknown":
            certain += 1
            assert possible == {state}, (rules, hidden)
    assert certain > 5  # or nothing was shown


@pytest.mark.parametrize("seed", range(5))
def test_a_single_missing_fact_is_not_unknown_without_need(seed: int) -> None:
    """Where one rule asks for one number that is missing, the state is unknown if and only if the number matters."""
    random_ = random.Random(seed)  # noqa: S311 - drawn inputs, no secrets
    for _ in range(100):
        rules = {"only": draw_rule(random_)}
        hidden, blank = forget(draw_facts(random_), random_)
        if len(blank) > 1 or not next(iter(blank)).startswith(("verdict", "gap", "width_um")):
            continue
        possible = {expected(rules, facts) for facts in completions(hidden, blank)}
        state = Acceptance(rules)(hidden).state
        assert (state == "unknown") is (len(possible) > 1), (rules, hidden)


@pytest.mark.parametrize("fact", ["defects", "types", "zones", "scale"])
def test_no_defect_found_is_no_pass_where_nobody_could_have_found_it(fact: str) -> None:
    """A rule that needs the scale, zones or types of a part is not decided by an empty list."""
    which = {"types": ["scratch"], "zones": ["B"], "width_um": {"above": 3}}
    acceptance = Acceptance({"scratches": {"defects": which, "at_most": 0}})
    assert acceptance(Facts("good", ())).state == "accepted"
    found = acceptance(Facts("good", (), missing={fact: "nobody said"}))
    assert found.state == "unknown"
    assert "nobody said" in found.text


def test_a_sure_rejection_stays_rejected() -> None:
    """What is missing cannot save a part that breaks a rule for sure."""
    acceptance = Acceptance({"model": {"verdict": "good"}, "gap": {"max": 2.0, "otherwise": "rework"}})
    assert acceptance(Facts("defective")).state == "rejected"
    assert acceptance(Facts("good")).state == "unknown"
    assert acceptance(Facts(None, measures={"gap": 3.0})).state == "unknown"  # rework, or worse
    assert acceptance(Facts("good", measures={"gap": 3.0})).state == "rework"


def test_bounds_are_inclusive_as_printed() -> None:
    """From 2 to 5 holds both; above and below hold neither."""
    for bounds, inner in (({"min": 2.0, "max": 5.0}, (2, 3, 5)), ({"above": 2.0, "below": 5.0}, (3, 4.999))):
        acceptance = Acceptance({"gap": bounds})
        accepted = [v for v in (1, 1.999, 2, 3, 4.999, 5, 5.001) if acceptance(_gap(v)).state == "accepted"]
        assert set(inner) <= set(accepted)
        assert min(accepted) >= 2
        assert max(accepted) <= 5
        assert (2 in accepted) is ("min" in bounds)
        assert (5 in accepted) is ("max" in bounds)


def _gap(value: float) -> Facts:
    return Facts("good", (), measures={"gap": value})


def test_what_crosses_zones_counts_in_each_with_its_part_inside() -> None:
    """Two rules see one defect, each its own part; a rule for both zones counts it once."""
    across = DefectFacts(1, {"size_um": 9.0}, "pit", {"A": {"size_um": 3.0}, "B": {"size_um": 6.0}})
    facts = Facts("good", (across,))
    large = {zone: {"defects": {"zones": zone, "size_um": {"min": 5}}, "at_most": 0} for zone in ZONES}
    assert Acceptance(large)(facts).rules == ("B",)
    both = {"defects": {"zones": ["A", "B"], "size_um": {"min": 1}}, "at_most": 1}
    assert Acceptance({"both": both})(facts).state == "accepted"
    assert Acceptance({"whole": {"defects": {"size_um": {"min": 8}}, "at_most": 0}})(facts).state == "rejected"


def test_kinds_have_rules_of_their_own() -> None:
    """A rule for a kind is for no other; a kind that nobody knows is not a way around it, and no rule is not a pass."""
    acceptance = Acceptance({"gap": {"max": 2.0, "kinds": ["model1"]}, "model": {"verdict": "good", "kinds": "model2"}})
    wide = Facts("good", measures={"gap": 3.0})
    assert acceptance(replace(wide, kind="model1")).state == "rejected"
    assert acceptance(replace(wide, kind="model2")).state == "accepted"
    assert acceptance(wide).state == "unknown"
    assert acceptance(replace(wide, kind="model3")).state == "unknown"


def test_missing_may_be_answered_otherwise_but_never_by_a_pass() -> None:
    """A rule may ask for rework where its fact is missing."""
    assert Acceptance({"gap": {"max": 2.0, "missing": "rework"}})(Facts("good")).state == "rework"
    with pytest.raises(ValueError, match=r"missing to be unknown, rework or rejected, but found 'accepted'"):
        Acceptance({"gap": {"max": 2.0, "missing": "accepted"}})


def test_types_of_images() -> None:
    """Types may be asked for or ruled out; none is unknown."""
    ruled_out = Acceptance({"cell": {"no_image_types": ["Missing"]}})
    assert [ruled_out(Facts(type=name)).state for name in ("ok", "Missing", None)] == [
        "accepted",
        "rejected",
        "unknown",
    ]
    asked = Acceptance({"cell": {"image_types": ["ok"], "otherwise": "rework"}})
    assert [asked(Facts(type=name)).state for name in ("ok", "Missing", "")] == ["accepted", "rework", "unknown"]


def test_reasons_say_rule_and_finding() -> None:
    """In words: the rule, what was found, and what the rule asks for; with name and edition before it."""
    rules = {"scratches in B": {"defects": {"zones": "B", "width_um": {"min": 2, "max": 5}}, "at_most": 0}}
    acceptance = Acceptance(rules, name="IEC 61300-3-35 SM PC", edition="2015", source="a reprint")
    judged = acceptance(Facts("good", (DefectFacts(4, {}, None, {"B": {"width_um": 2.5}}),)))
    assert judged.text == (
        "IEC 61300-3-35 SM PC, edition 2015: scratches in B: found 1 defect with zone B, width_um from 2 to 5, where "
        "the rule asks for at most 0: defect 4 (width_um 2.5)"
    )
    assert judged.row()["source"] == "a reprint"
    assert json.loads(json.dumps(judged.row())) == judged.row()


def test_the_worst_part_speaks_for_an_image() -> None:
    """Rejected, then unknown, then rework."""
    parts = [Judgement("accepted"), Judgement("rework"), Judgement("unknown"), Judgement("rejected")]
    for count in range(1, 5):
        assert worst(parts[:count]) == parts[count - 1]


def test_rules_travel_as_plain_values() -> None:
    """What a bundle holds builds the same rules."""
    acceptance = Acceptance({"gap": {"max": 2.0}}, name="ours")
    assert Acceptance(**json.loads(json.dumps(acceptance.to_dict()))) == acceptance
