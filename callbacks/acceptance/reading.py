"""From plain values, as they stand in YAML and JSON, to rules; whatever means nothing is refused in one sentence.

Four sorts of rules, told apart by their keys; each may have ``kinds``, ``otherwise`` and ``missing`` beside them::

    model: {verdict: good}
    layer: {no_image_types: [Missing, Collapsed], otherwise: rework}
    mean_thickness: {min: 270, max: 290}  # of the part; measure: NAME where the rule has another name
    scratches: {defects: {types: [scratch], zones: [B], width_um: {above: 2, max: 5}}, at_most: 5}
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeAlias, get_args

from .facts import DEFECT_MEASURES, Verdict
from .limits import BOUNDS, Limits
from .matching import Which
from .rules import Consequence, CountRule, Failure, MeasureRule, Missing, Rule, TypeRule, VerdictRule

Values: TypeAlias = Mapping[str, Any]
COMMON = ("otherwise", "missing", "kinds")
COUNTS = {"at_least": "min", "at_most": "max"}
SORTS: dict[str, tuple[str, ...]] = {  # the key that tells a sort, and the others that it has
    "verdict": (),
    "image_types": (),
    "no_image_types": (),
    "defects": tuple(COUNTS),
    "measure": BOUNDS,
}


def read_rules(values: Mapping[str, Any], otherwise: Failure = "rejected") -> tuple[Rule, ...]:
    """Read rules by their names.

    Args:
        values: Each rule's keys and values, by the rule's name.
        otherwise: What follows from breaking a rule that does not say.

    Raises:
        ValueError: There are none, or one means nothing; says which, and what is expected.
    """
    if not values:
        raise ValueError("Expected acceptance.rules to hold at least one rule, but found none: all would be accepted.")
    return tuple(_read_rule(str(name), rule, otherwise) for name, rule in values.items())


def _read_rule(name: str, values: Any, otherwise: Failure) -> Rule:
    where = f"acceptance.rules.{name}"
    if not isinstance(values, Mapping) or not values:
        raise ValueError(f"Expected {where} to be a group of keys, such as {{verdict: good}}, but found {values!r}.")
    sort = _sort_of(values, where)
    check_keys(values, (sort, *SORTS[sort], *COMMON), where)
    return _READERS[sort](_consequence(name, values, otherwise, where), values, where)


def _sort_of(values: Values, where: str) -> str:
    """Tell the sort of a rule by the key that only it has; bounds alone are those of the measure of the rule's name."""
    found = [sort for sort in SORTS if sort in values]
    if not found and any(bound in values for bound in BOUNDS):
        return "measure"
    if len(found) != 1:
        given = " and ".join(found) or ", ".join(map(str, values))
        check_keys(values, (*SORTS, *COUNTS, *BOUNDS, *COMMON), where)
        raise ValueError(f"Expected {where} to have one of {', '.join(SORTS)}, but found {given}.")
    return found[0]


def check_keys(values: Values, known: Collection[str], where: str) -> None:
    """Refuse keys that there are not.

    Raises:
        ValueError: Names the nearest right one, or all.
    """
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            raise ValueError(f"No key {key!r} in {where}; {hint}")


def _consequence(name: str, values: Values, otherwise: Failure, where: str) -> Consequence:
    return Consequence(
        name=name,
        otherwise=one_of(values.get("otherwise") or otherwise, Failure, f"{where}.otherwise"),
        missing=one_of(values.get("missing") or "unknown", Missing, f"{where}.missing"),
        kinds=_optional_words(values, "kinds", where),
    )


def _read_verdict(about: Consequence, values: Values, where: str) -> Rule:
    return VerdictRule(about, one_of(values["verdict"], Verdict, f"{where}.verdict"))


def _read_types(about: Consequence, values: Values, where: str) -> Rule:
    (key,) = (key for key in ("image_types", "no_image_types") if key in values)
    return TypeRule(about, read_words(values[key], f"{where}.{key}"), allowed=key == "image_types")


def _read_measure(about: Consequence, values: Values, where: str) -> Rule:
    measure = values.get("measure") or about.name
    if not isinstance(measure, str):
        raise ValueError(  # noqa: TRY004 - as every wrong value of a config
            f"Expected {where}.measure to be the name of a measure of the part, but found {measure!r}."
        )
    return MeasureRule(about, measure, read_limits({key: values.get(key) for key in BOUNDS}, where))


def _read_count(about: Consequence, values: Values, where: str) -> Rule:
    counts = {bound: values[key] for key, bound in COUNTS.items() if values.get(key) is not None}
    for key, bound in COUNTS.items():
        if bound in counts and (not _is_number(counts[bound]) or counts[bound] < 0 or counts[bound] % 1):
            raise ValueError(f"Expected {where}.{key} to be a whole number from 0, but found {counts[bound]!r}.")
    if not counts:
        raise ValueError(f"Expected {where} to say how many defects there may be, at_most or at_least, but found none.")
    return CountRule(about, read_which(values["defects"], f"{where}.defects"), read_limits(counts, where))


_READERS: dict[str, Callable[[Consequence, Values, str], Rule]] = {
    "verdict": _read_verdict,
    "image_types": _read_types,
    "no_image_types": _read_types,
    "measure": _read_measure,
    "defects": _read_count,
}


def read_which(values: Any, where: str) -> Which:
    """Read the conditions on a defect; none at all mean every defect.

    Raises:
        ValueError: One means nothing.
    """
    if values is not None and not isinstance(values, Mapping):
        raise ValueError(f"Expected {where} to be conditions, such as {{area: {{min: 100}}}}, but found {values!r}.")
    values = values or {}
    check_keys(values, ("types", "zones", *DEFECT_MEASURES), where)
    measures = {name: values[name] for name in DEFECT_MEASURES if values.get(name) is not None}
    return Which(
        types=_optional_words(values, "types", where),
        zones=_optional_words(values, "zones", where),
        measures={name: read_limits(limits, f"{where}.{name}") for name, limits in measures.items()},
    )


def read_limits(values: Any, where: str) -> Limits:
    """Read minima and maxima; a bound that is null is not there.

    Raises:
        ValueError: There is none, one is not a finite number, or nothing can lie between them.
    """
    if not isinstance(values, Mapping):
        raise ValueError(  # noqa: TRY004 - as every wrong value of a config
            f"Expected {where} to be limits, such as {{min: 2, max: 5}}, but found {values!r}."
        )
    check_keys(values, BOUNDS, where)
    given = {bound: value for bound, value in values.items() if value is not None}
    for bound, value in given.items():
        if not _is_number(value):
            raise ValueError(f"Expected {where}.{bound} to be a finite number, but found {value!r}.")
    if not given:
        raise ValueError(f"Expected {where} to have a limit, one of {', '.join(BOUNDS)}, but found none.")
    limits = Limits(**given)
    if limits.empty:
        raise ValueError(f"Expected {where} to leave something between its limits, but nothing is {limits}.")
    return limits


def read_words(value: Any, where: str) -> tuple[str, ...]:
    """Read names; one alone need not be a list, and numbers, such as those of zones, are names too.

    Raises:
        ValueError: It is neither, or empty.
    """
    words = list(value) if isinstance(value, list | tuple) else [value]
    if not words or not all(isinstance(word, str) or (_is_number(word) and word % 1 == 0) for word in words):
        raise ValueError(f"Expected {where} to be a list of names, such as [A, B], but found {value!r}.")
    return tuple(str(word) for word in words)


def read_zones_um(values: Any) -> dict[str, tuple[float, float]]:
    """Read rings about an axis: inner and outer diameter in micrometres, by name; there may be none.

    Raises:
        ValueError: One is no ring.
    """
    where = "acceptance.zones_um"
    if not isinstance(values, Mapping):
        raise ValueError(  # noqa: TRY004 - as every wrong value of a config
            f"Expected {where} to hold zones, such as {{A: [0, 25]}}, but found {values!r}."
        )
    return {str(zone): _read_ring(ring, f"{where}.{zone}") for zone, ring in values.items()}


def _read_ring(value: Any, where: str) -> tuple[float, float]:
    ring = list(value) if isinstance(value, list | tuple) else []
    if len(ring) != 2 or not all(map(_is_number, ring)) or not 0 <= ring[0] < ring[1]:
        raise ValueError(
            f"Expected {where} to be an inner and a larger outer diameter in micrometres, such as [25, 115], but found "
            f"{value!r}."
        )
    return float(ring[0]), float(ring[1])


def one_of(value: Any, choices: Any, where: str) -> Any:
    """Return a word that is one of those of a ``Literal``.

    Raises:
        ValueError: It is none of them.
    """
    words: tuple[str, ...] = get_args(choices)
    if value not in words:
        raise ValueError(f"Expected {where} to be {_joined(words)}, but found {value!r}.")
    return value


def _joined(words: tuple[str, ...]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]])


def _optional_words(values: Values, key: Literal["types", "zones", "kinds"], where: str) -> tuple[str, ...] | None:
    return None if values.get(key) is None else read_words(values[key], f"{where}.{key}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
