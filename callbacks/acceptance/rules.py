"""Rules: each asks for some facts of a part, and says what follows where it is broken, or where a fact is missing.

A rule never says that a part is accepted; a part is, where no rule says otherwise (see ``judgement.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from .facts import Facts, Verdict, needs_scale

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .limits import Limits
    from .matching import Match, Which

Failure = Literal["rework", "rejected"]
Missing = Literal["unknown", "rework", "rejected"]
SHOWN = 5  # defects that a reason names


class Outcome(NamedTuple):
    """What a rule makes of a part.

    Attributes:
        holds: True, False, or None where a fact is missing that would decide.
        reason: In words without a full stop, where it does not surely hold.
    """

    holds: bool | None
    reason: str = ""


@dataclass(frozen=True)
class Consequence:
    """What every rule has.

    Attributes:
        name: As a person knows it; begins its reasons.
        otherwise: The state of a part that breaks it.
        missing: The state of a part of which a fact is missing; ``unknown`` says so, and is never a pass.
        kinds: Sub-populations that it is for; None: all.
    """

    name: str
    otherwise: Failure = "rejected"
    missing: Missing = "unknown"
    kinds: tuple[str, ...] | None = None

    def concerns(self, kind: str) -> bool:
        """Tell whether the rule is for parts of this kind, or may be, where nobody knows it."""
        return self.kinds is None or not kind or kind in self.kinds


@dataclass(frozen=True)
class VerdictRule:
    """The model must have called the image so.

    Attributes:
        about: What the rule has in common with others.
        verdict: The verdict that is asked for.
    """

    about: Consequence
    verdict: Verdict

    def judge(self, facts: Facts) -> Outcome:
        """Compare with the model's verdict."""
        if facts.verdict is None or "verdict" in facts.missing:
            return Outcome(None, f"there is no verdict of a model{_because(facts, ['verdict'])}")
        return Outcome(facts.verdict == self.verdict, f"the model's verdict is {facts.verdict}, not {self.verdict}")


@dataclass(frozen=True)
class TypeRule:
    """The model must have said, or must not have said, one of some types of the whole image.

    Attributes:
        about: What the rule has in common with others.
        types: The types.
        allowed: Whether they are the only ones that pass, or those that do not.
    """

    about: Consequence
    types: tuple[str, ...]
    allowed: bool

    def judge(self, facts: Facts) -> Outcome:
        """Compare with the type that the model said."""
        if not facts.type or "type" in facts.missing:
            return Outcome(None, f"the image has no type{_because(facts, ['type'])}")
        names = " or ".join(self.types)
        asked = f"where {names} is asked for" if self.allowed else f"where {names} is ruled out"
        return Outcome((facts.type in self.types) is self.allowed, f"the image's type is {facts.type}, {asked}")


@dataclass(frozen=True)
class MeasureRule:
    """A measure of the part must lie within limits.

    Attributes:
        about: What the rule has in common with others.
        measure: Its name.
        limits: That it must lie within.
    """

    about: Consequence
    measure: str
    limits: Limits

    def judge(self, facts: Facts) -> Outcome:
        """Compare the measure with its limits."""
        needs = ["part", *(["scale"] if needs_scale(self.measure) else []), self.measure]
        value = facts.measures.get(self.measure)
        holds = self.limits.holds(value)
        if holds is None or value is None:
            return Outcome(None, f"{self.measure} of the part is unknown{_because(facts, reversed(needs))}")
        return Outcome(holds, f"{self.measure} is {value:.10g}, not {self.limits}")


@dataclass(frozen=True)
class CountRule:
    """So many defects of some sort may there be.

    Attributes:
        about: What the rule has in common with others.
        which: Defects that count. One that counts in several of the zones named counts once.
        number: How many there may be.
    """

    about: Consequence
    which: Which
    number: Limits

    def judge(self, facts: Facts) -> Outcome:
        """Count those that surely count, and those that perhaps do; whatever the latter are must not matter."""
        if facts.defects is None:
            return Outcome(None, f"the defects are unknown{_because(facts, ['defects', 'part'])}")
        matched = [(defect.number, self.which.match(defect)) for defect in facts.defects]
        sure = {number: match for number, match in matched if match.holds}
        perhaps = {number: match for number, match in matched if match.holds is None and number not in sure}
        possible = {self.number.holds(count) for count in range(len(sure), len(sure) + len(perhaps) + 1)}
        unmeasured = [name for name in self.which.needs if name in facts.missing]
        if unmeasured:  # defects may be there that nobody could have found, or told apart
            possible |= {self.number.holds(len(sure) + more) for more in (0, self._beyond(len(sure)))}
        if len(possible) > 1:
            return Outcome(None, self._undecided(facts, unmeasured, perhaps))
        (holds,) = possible
        return Outcome(holds, self._found(sure, len(perhaps)))

    def _beyond(self, counted: int) -> int:
        """How many more defects would surely change the outcome, if any number does."""
        bounds = self.number.to_dict().values()
        return max(0, int(max(bounds)) + 1 - counted)

    def _found(self, sure: dict[int, Match], perhaps: int) -> str:
        which = f" with {self.which}" if str(self.which) else ""
        more = f" and perhaps {perhaps} more" if perhaps else ""
        noun = "defect" if len(sure) == 1 else "defects"
        return f"found {len(sure)} {noun}{which}{more}, where the rule asks for {self.number}{_listed(sure)}"

    def _undecided(self, facts: Facts, unmeasured: list[str], perhaps: dict[int, Match]) -> str:
        if unmeasured:
            verb = "are" if len(unmeasured) > 1 or unmeasured[0].endswith("s") else "is"
            return f"the {' and '.join(unmeasured)} of the part {verb} unknown{_because(facts, unmeasured)}"
        missing = sorted({match.missing for match in perhaps.values()})
        numbers = ", ".join(map(str, sorted(perhaps)[:SHOWN])) + (", ..." if len(perhaps) > SHOWN else "")
        noun = "defect" if len(perhaps) == 1 else "defects"
        return f"{' and '.join(missing)} of {noun} {numbers} is unknown"


Rule: TypeAlias = VerdictRule | TypeRule | MeasureRule | CountRule


def _because(facts: Facts, names: Iterable[str]) -> str:
    why = next((facts.missing[name] for name in names if facts.missing.get(name)), "")
    return f": {why}" if why else ""


def _listed(matches: dict[int, Match]) -> str:
    """Name the first defects, with what was looked at."""
    named = [
        f"defect {number}" + (f" ({match.shown})" if match.shown else "") for number, match in sorted(matches.items())
    ]
    if not named:
        return ""
    more = f", and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    return ": " + ", ".join(named[:SHOWN]) + more
