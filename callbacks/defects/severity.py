"""How severe a defect is, by rules that are data: the first rule whose conditions all hold gives its name."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIMITS = ("min_area", "min_length", "min_width", "min_area_um2", "min_length_um", "min_width_um")
LISTS = {"zones": "zone", "kinds": "kind"}
KEYS = ("name", *LIMITS, *LISTS)


def check_rules(rules: Sequence[Mapping[str, Any]]) -> None:
    """Refuse rules without a name, with a key that there is not, or with a limit that is not a number.

    Raises:
        ValueError: Says which.
    """
    for rule in rules:
        if not rule.get("name"):
            raise ValueError(f"Expected every rule of defects.severity to have a name, but found {dict(rule)}.")
        for key, value in rule.items():
            if key not in KEYS:
                near = difflib.get_close_matches(key, KEYS, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(KEYS)}"
                raise ValueError(f"No key {key!r} in the rule {rule['name']!r} of defects.severity; {hint}")
            if key in LIMITS and (not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0):
                raise ValueError(f"Expected {key} of the rule {rule['name']!r} to be 0 or more, but found {value!r}.")
            if key in LISTS and not isinstance(value, list | tuple):
                raise ValueError(f"Expected {key} of the rule {rule['name']!r} to be a list, but found {value!r}.")


def severity_of(rules: Sequence[Mapping[str, Any]], measures: Mapping[str, Any], kind: str = "") -> str:
    """Name the severity of a defect.

    Args:
        rules: The worst first.
        measures: Of the defect: ``area``, ``length``, ``width``, the same with ``_um2`` or ``_um`` (None where the
            scale is unknown), and ``zone``.
        kind: Sub-population of its image.

    Returns:
        The name of the first rule that holds; empty where none does, or where a rule in micrometres stands before it
        and the scale is unknown: nobody can tell then.
    """
    for rule in rules:
        found = {"zone": measures["zone"], "kind": kind}
        if any(found[what] not in rule[key] for key, what in LISTS.items() if key in rule):
            continue
        limits = [(measures[key.removeprefix("min_")], rule[key]) for key in LIMITS if key in rule]
        if any(value is not None and value < limit for value, limit in limits):
            continue
        return "" if any(value is None for value, _ in limits) else str(rule["name"])
    return ""
