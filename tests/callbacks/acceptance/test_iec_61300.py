"""IEC 61300-3-35: every row of every table at, below and above its bounds, against the tables written out by hand."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from callbacks.acceptance.facts import DefectFacts, Facts
from callbacks.acceptance.iec_61300 import Iec61300

ROOT = Path(__file__).resolve().parents[3]
CASES = ROOT.parent / "shared" / "cases" / "fiber" / "fiber_07_iec_tables.json"
TINY = 1e-6
NONE = 0
Row = tuple[float, bool, float, bool, int]

# (zone, what): rows of (low, low is inside, high, high is inside, so many may be there), as Panduit FS061 prints them.
ANY = float("inf")
SM_B: list[Row] = [(2, True, 5, True, 5), (5, False, ANY, True, NONE)]
PRINTED: dict[str, dict[tuple[str, str], list[Row]]] = {
    "sm_pc": {
        ("A", "scratch"): [(0, True, ANY, True, NONE)],
        ("A", "dirt"): [(0, True, ANY, True, NONE)],
        ("B", "scratch"): [(3, False, ANY, True, NONE)],
        ("B", "dirt"): SM_B,
        ("D", "dirt"): [(10, False, ANY, True, NONE)],
    },
    "sm_apc": {
        ("A", "scratch"): [(0, True, ANY, True, 4), (3, False, ANY, True, NONE)],
        ("A", "dirt"): [(0, True, ANY, True, NONE)],
        ("B", "dirt"): SM_B,
        ("D", "dirt"): [(10, False, ANY, True, NONE)],
    },
    "mm": {
        ("A", "scratch"): [(3, False, ANY, True, NONE)],
        ("A", "dirt"): [(0, True, 5, True, 4), (5, False, ANY, True, NONE)],
        ("B", "scratch"): [(5, False, ANY, True, NONE)],
        ("B", "dirt"): [(5, True, 10, True, 5), (10, False, ANY, True, NONE)],
        ("D", "dirt"): [(20, True, 30, True, 5), (30, False, ANY, True, NONE)],
    },
}
PRINTED["multifiber"] = {key: rows for key, rows in PRINTED["sm_apc"].items() if key[0] in "AB"}


def read(connector: str, edition: str = "2015") -> Iec61300:
    values = yaml.safe_load((ROOT / "configs" / "acceptance" / f"iec_61300_3_35_{connector}.yaml").read_text())
    values.pop("_target_")
    return Iec61300(**values | {"edition": edition})


def defect(zone: str, kind: str, um: float | None, number: int = 1) -> DefectFacts:
    measure = "width_um" if kind == "scratch" else "size_um"
    measures: dict[str, float | None] = {measure: um}
    return DefectFacts(number, measures, kind, {zone: measures} if zone else {})


def allowed(connector: str, zone: str, kind: str, um: float, count: int) -> bool:
    """The table on so many equal defects, written out slowly."""
    for low, low_inside, high, high_inside, most in PRINTED[connector].get((zone, kind), []):
        above = um >= low if low_inside else um > low
        below = um <= high if high_inside else um < high
        if above and below and count > most:
            return False
    return True


@pytest.mark.parametrize("connector", sorted(PRINTED))
def test_every_bound_of_every_row_is_exact(connector: str) -> None:
    rules = read(connector)
    verdicts = set()
    for zone, kind in itertools.product(["A", "B", "C", "D", ""], ["scratch", "dirt"]):
        for bound in (0.3, 2, 3, 5, 10, 20, 30, 80):
            for um, count in itertools.product((bound - TINY, bound, bound + TINY), (1, 4, 5, 6)):
                facts = Facts(defects=tuple(defect(zone, kind, um, n + 1) for n in range(count)))
                expected = "accepted" if allowed(connector, zone, kind, um, count) else "rejected"
                found = rules(facts)
                assert found.state == expected, (connector, zone, kind, um, count, found.reasons)
                verdicts.add(found.state)
    assert verdicts == {"accepted", "rejected"}


def test_reasons_name_zone_rule_and_what_was_found() -> None:
    found = read("sm_pc")(Facts(defects=(defect("B", "scratch", 3.1, 7), defect("D", "chip", 12.0, 9))))
    assert found.state == "rejected"
    assert found.rules == ("zone B, scratches above 3 um", "zone D, defects above 10 um")
    assert "width_um 3.1" in found.reasons[0]
    assert "defect 9 (chip" in found.reasons[1].replace("type ", "")
    assert found.standard["edition"] == "2015"
    assert "Panduit FS061" in found.standard["source"]


@pytest.mark.parametrize("what", ["zones", "scale", "types", "defects"])
def test_a_missing_fact_is_never_a_pass(what: str) -> None:
    why = "the cladding was not found"
    nothing = Facts(defects=None if what == "defects" else (), missing={what: why})
    found = read("sm_pc")(nothing)
    assert found.state == "unknown"
    assert any(why in reason for reason in found.reasons)


def test_a_part_without_any_defect_is_accepted_and_a_sure_failure_stays_one() -> None:
    assert read("mm")(Facts(defects=())).state == "accepted"
    unsure = DefectFacts(2, {"size_um": None}, "dirt", {"B": {"size_um": None}})
    assert read("sm_pc")(Facts(defects=(unsure,))).state == "unknown"
    assert read("sm_pc")(Facts(defects=(defect("A", "pit", 1.0), unsure))).state == "rejected"


def test_the_edition_of_2022_ends_zone_b_earlier_and_says_that_it_is_secondary() -> None:
    new, old = read("sm_pc", "2022"), read("sm_pc")
    assert new.rings["B"] == (25.0, 110.0)
    assert old.rings["B"] == (25.0, 115.0)
    assert "secondary" in new.source
    assert new(Facts(defects=(defect("D", "dirt", 80.0),))).state == "accepted"
    assert read("multifiber", "2015 MM").rings == {"A": (0.0, 65.0), "B": (65.0, 115.0)}
    with pytest.raises(ValueError, match="edition to be one of 2015, 2022, but found '2019'"):
        read("sm_pc", "2019")


NAMES = {"SM PC": "sm_pc", "SM APC": "sm_apc", "MM PC": "mm", "SM APC multi-fibre": "multifiber"}
STATES = {"pass": "accepted", "fail": "rejected", "unknown": "unknown"}


@pytest.mark.skipif(not CASES.is_file(), reason="needs ../shared/cases/fiber")
def test_the_cases_come_out_as_they_say() -> None:
    table = json.loads(CASES.read_text())
    for case in table["cases"]:
        rules = read(NAMES[case["connector"]], str(case.get("edition", "2015"))[:4])
        assert rules(_facts(case, rules)).state == STATES[case["expected"]["verdict"]], case["id"]
    for connector, ends in table["zones_um"].items():
        found = read(NAMES[connector]).rings
        assert [outer for _, outer in found.values()] == ends


def _facts(case: dict[str, Any], rules: Iec61300) -> Facts:
    scaled = case.get("um_per_pixel", 1.0) is not None
    defects = []
    for number, one in enumerate(case["defects"], start=1):
        kind = "scratch" if one["kind"] == "scratch" else "dirt"
        um = one.get("width_um", one.get("size_um"))
        zones = [one["zone"]] if one.get("zone") else []
        if "radius_um" in one:
            low, high = (2 * radius for radius in one["radius_um"])
            zones = [zone for zone, (inner, outer) in rules.rings.items() if low < outer and high > inner]
        measures = {"width_um" if kind == "scratch" else "size_um": um}
        defects.append(DefectFacts(number, measures, kind, dict.fromkeys(zones, measures)))
    return Facts(defects=tuple(defects), missing={} if scaled else {"scale": "nobody said it"})
