"""From what each rule makes of a part to its state, with reasons.

A rule that holds asks for nothing, one that is broken for its consequence; one that lacks a fact might do either. The
state of a part is the worst that is asked for, rejected before rework before accepted, where no missing fact could
change it, and ``unknown`` where one could. So an unknown fact never passes a part; a part that is surely rejected stays
rejected, whatever else is unknown; and one to be reworked stays so unless an unknown fact might reject it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from .reading import read_rules, read_words, read_zones_um
from .rules import Outcome, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .facts import Facts

Certain = Literal["accepted", "rework", "rejected"]
State: TypeAlias = Certain | Literal["unknown"]
CERTAIN: tuple[Certain, ...] = get_args(Certain)
STATES: tuple[State, ...] = ("accepted", "rework", "rejected", "unknown")


class Judgement(NamedTuple):
    """What acceptance says of a part.

    Attributes:
        state: Accepted, rework, rejected or unknown.
        reasons: Why, one by broken or undecided rule, in words without a full stop, those that decided first; of an
            accepted part that all rules hold.
        rules: The names of these rules; none where a part is accepted.
        standard: What the rules are, with edition and source where they have any.
    """

    state: State
    reasons: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    standard: Mapping[str, str] = {}

    @property
    def text(self) -> str:
        """The reasons in one line, with the rules' name and edition before them."""
        reasons = "; ".join(self.reasons)
        title = titled(self.standard)
        return f"{title}: {reasons}" if title and reasons else reasons

    def row(self) -> dict[str, Any]:
        """Plain values for predictions.jsonl."""
        return {
            "state": self.state,
            "reasons": list(self.reasons),
            "rules": list(self.rules),
            **self.standard,
        }


@dataclass(frozen=True)
class Acceptance:
    """A set of rules, checked when it is built; plain values that travel in configs, checkpoints and bundles.

    Attributes:
        rules: By their names; see ``reading.py``.
        name: Of the set, as it is quoted in every verdict; empty: no name.
        edition: Of the standard that the rules come from.
        source: Where its text was taken from.
        otherwise: What follows from breaking a rule that does not say: ``rejected`` or ``rework``.
        rules_file: Of a config: a file of more rules, which are taken into ``rules`` before this is built.
        zones_um: Inner and outer diameter of zones about the axis of a fiber, in micrometres, by name: then the rules
            are about end faces, and every image is measured as one; none: zones are those of the data.

    Raises:
        ValueError: A rule means nothing.
    """

    rules: Mapping[str, Mapping[str, Any]]
    name: str = ""
    edition: str = ""
    source: str = ""
    otherwise: Literal["rework", "rejected"] = "rejected"
    rules_file: str | None = None
    zones_um: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the rules, so that one that means nothing is refused at once."""
        if self.rules_file is not None:
            raise ValueError(f"Expected the rules of {self.rules_file} to be taken in, but nobody read them.")
        _ = self.read, self.rings

    @cached_property
    def read(self) -> tuple[Rule, ...]:
        """The rules, ready to judge."""
        return read_rules(self.rules, self.otherwise)

    def __call__(self, facts: Facts) -> Judgement:
        """Judge one part."""
        judged = [(rule, _judged(rule, facts)) for rule in self.read if rule.about.concerns(facts.kind)]
        if not judged:
            return self.unjudged(f"no rule is for parts of the kind {facts.kind}")
        state, deciding = decide(judged)
        if state == "accepted":
            noun = "rule holds" if len(judged) == 1 else "rules hold"
            return Judgement(state, (f"{len(judged)} {noun}",), (), self.standard)
        reasons = tuple(_reason(rule.about.name, outcome.reason) for rule, outcome in deciding)
        return Judgement(state, reasons, tuple(rule.about.name for rule, _ in deciding), self.standard)

    def unjudged(self, why: str) -> Judgement:
        """Say that nothing is known about a part, and why."""
        return Judgement("unknown", (why,), (), self.standard)

    @property
    def standard(self) -> dict[str, str]:
        """What every verdict carries."""
        values = {"name": self.name, "edition": self.edition, "source": self.source}
        return {key: value for key, value in values.items() if value}

    @property
    def kinds(self) -> list[str]:
        """The sub-populations that rules name."""
        return sorted({kind for rule in self.read for kind in rule.about.kinds or ()})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, which the constructor takes."""
        values = {key: value for key, value in asdict(self).items() if key not in ("rules_file", "zones_um")}
        return values | ({"zones_um": {zone: list(ring) for zone, ring in self.rings.items()}} if self.rings else {})

    @cached_property
    def rings(self) -> dict[str, tuple[float, float]]:
        """Inner and outer diameter of zones about an axis, in micrometres; none where zones are those of the data."""
        return read_zones_um(self.zones_um)

    @property
    def asked_zones(self) -> frozenset[str]:
        """The zones that any rule looks into."""
        asked = [read_words(which["zones"], "zones") for which in self._conditions if which.get("zones") is not None]
        return frozenset(zone for zones in asked for zone in zones)

    @property
    def _conditions(self) -> list[Mapping[str, Any]]:
        return [rule["defects"] for rule in self.rules.values() if rule.get("defects")]


def _reason(name: str, reason: str) -> str:
    """Put the rule's name before its reason, unless that begins with it."""
    return reason if reason.startswith(f"{name} ") else f"{name}: {reason}"


def _judged(rule: Rule, facts: Facts) -> Outcome:
    """Apply a rule; where nobody knows the kind of a part, one for some kinds must hold, or it is not decided."""
    outcome = rule.judge(facts)
    if rule.about.kinds is None or facts.kind or outcome.holds:
        return outcome
    return Outcome(None, f"the kind of the part is unknown, and for {' or '.join(rule.about.kinds)} {outcome.reason}")


def decide(judged: Sequence[tuple[Rule, Outcome]]) -> tuple[State, list[tuple[Rule, Outcome]]]:
    """Return the state of a part and the rules that explain it, at least one; see the module's docstring.

    Of a part to be rejected these are all rules that it breaks, those that reject it first.
    """
    asked = [_asked(rule, outcome) for rule, outcome in judged]
    best, worst = max(low for low, _ in asked), max(high for _, high in asked)
    if best == worst:
        held = worst == 0
        named = [(low, one) for one, (low, _) in zip(judged, asked, strict=True) if held or low > 0]
        return CERTAIN[worst], [one for _, one in sorted(named, key=lambda pair: -pair[0])]  # stable
    unsure = [one for one, (low, high) in zip(judged, asked, strict=True) if low < high and high > best]
    broken = [one for one, (low, _) in zip(judged, asked, strict=True) if low > 0]
    return "unknown", [one for one in judged if one in unsure or one in broken]


def _asked(rule: Rule, outcome: Outcome) -> tuple[int, int]:
    """Return the mildest and the hardest state that a rule may ask for, as places in ``CERTAIN``."""
    about = rule.about
    otherwise = CERTAIN.index(about.otherwise)
    if outcome.holds is not None:
        return (0, 0) if outcome.holds else (otherwise, otherwise)
    if about.missing == "unknown":
        return 0, otherwise
    return CERTAIN.index(about.missing), CERTAIN.index(about.missing)


def worst(judgements: Iterable[Judgement]) -> Judgement:
    """Return the judgement that holds for several parts of one image: the hardest, where an unknown one is no pass.

    Rejected comes before unknown, unknown before rework, rework before accepted.

    Raises:
        ValueError: There is no part.
    """
    order: tuple[State, ...] = ("accepted", "rework", "unknown", "rejected")
    return max(judgements, key=lambda judgement: order.index(judgement.state))


def titled(standard: Mapping[str, str]) -> str:
    """Name a standard in a few words, such as ``IEC 61300-3-35 SM PC, edition 2015``."""
    edition = standard.get("edition", "")
    return ", ".join(filter(None, (standard.get("name", ""), f"edition {edition}" if edition else "")))
