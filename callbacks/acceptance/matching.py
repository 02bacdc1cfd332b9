"""Which defects a rule counts: each surely, surely not, or perhaps, where a fact that the rule asks for is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .facts import DefectFacts, Measures, needs_scale

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .limits import Limits


class Match(NamedTuple):
    """What a rule makes of one defect.

    Attributes:
        holds: Whether it counts; None: perhaps.
        shown: What of it the rule looked at, such as ``width_um 3.2``.
        missing: What would have to be known.
    """

    holds: bool | None
    shown: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Which:
    """Conditions on a defect, all of which must hold for it to count.

    Attributes:
        types: It is of one of these; None: of any.
        zones: Part of it lies in one of these, and it is that part which is measured; None: anywhere, and measured as
            a whole.
        measures: Limits by the names of measures.
    """

    types: tuple[str, ...] | None = None
    zones: tuple[str, ...] | None = None
    measures: Mapping[str, Limits] = field(default_factory=dict)

    def match(self, defect: DefectFacts) -> Match:
        """Tell whether a defect counts.

        A condition that surely fails decides, whatever else is unknown (Kleene's logic, with the zones as an "or").
        """
        return _all([self._of_type(defect), self._of_zone(defect)])

    @property
    def needs(self) -> tuple[str, ...]:
        """What has to be known about the part as a whole."""
        asked = {"types": self.types is not None, "zones": self.zones is not None}
        asked["scale"] = any(map(needs_scale, self.measures))
        return ("defects", *(name for name, is_asked in asked.items() if is_asked), *self.measures)

    def _of_type(self, defect: DefectFacts) -> Match:
        if self.types is None:
            return Match(holds=True)
        if not defect.type:
            return Match(None, missing="type")
        return Match(defect.type in self.types, defect.type)

    def _of_zone(self, defect: DefectFacts) -> Match:
        if self.zones is None:
            return self._measured(defect.measures)
        if defect.inside is None:
            return Match(None, missing="zone")
        inside = defect.inside
        return _any(self._measured(inside[zone]) for zone in self.zones if zone in inside)

    def _measured(self, measures: Measures) -> Match:
        """Compare measures with their limits."""
        return _all(_compared(name, limits, measures.get(name)) for name, limits in self.measures.items())

    def __str__(self) -> str:
        """Write the condition in words."""
        criteria = [] if self.types is None else [f"type {' or '.join(self.types)}"]
        criteria += [] if self.zones is None else [f"zone {' or '.join(self.zones)}"]
        return ", ".join([*criteria, *(f"{name} {limits}" for name, limits in self.measures.items())])


def _compared(name: str, limits: Limits, value: float | None) -> Match:
    holds = limits.holds(value)
    return Match(None, missing=name) if holds is None or value is None else Match(holds, f"{name} {value:.10g}")


def _all(matches: Iterable[Match]) -> Match:
    """Join conditions by "and"."""
    found = list(matches)
    shown = ", ".join(match.shown for match in found if match.shown)
    if any(match.holds is False for match in found):
        return Match(False, shown)
    missing = " and ".join(match.missing for match in found if match.holds is None)
    return Match(None if missing else True, shown, missing)


def _any(matches: Iterable[Match]) -> Match:
    """Join parts by "or"; without any, surely not."""
    found = list(matches)
    for holds in (True, None):
        for match in found:
            if match.holds is holds:
                return match
    return Match(holds=False)
