"""IEC 61300-3-35: what a fiber's end face may have, zone by zone, as data with edition and source.

A scratch is judged by its width, any other defect by its largest diameter; what crosses zones counts in each with the
part inside. Bounds are as printed: "5 from 2 to 5" holds 2.0 and 5.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .judgement import Acceptance

SCRATCH = "scratch"
DEFECTS = ("pit", "chip", "dirt", "unsure", "defect")  # all that is no scratch
LISTS = {"scratches": ((SCRATCH,), "width_um"), "defects": (DEFECTS, "size_um")}

ZonesUm = Mapping[str, tuple[float, float]]
"""Inner and outer diameter of zones in micrometres, by name."""


class Iec61300(Acceptance):
    """The rules of one connector in one edition.

    Args:
        name: Of the rules.
        edition: Of those in ``editions``.
        editions: By name: ``source``, ``zones_um`` (inner and outer diameter by zone) and the lists ``scratches`` and
            ``defects`` by zone: each row has bounds of the width or size in micrometres (none: any) and ``at_most``.
            A zone without rows has no requirement.

    Raises:
        ValueError: There is no such edition, or one means nothing.
    """

    def __init__(self, name: str, edition: str | int, editions: Mapping[str, Mapping[str, Any]]) -> None:
        known = {str(key): value for key, value in editions.items()}
        if str(edition) not in known:
            raise ValueError(f"Expected acceptance.edition to be one of {', '.join(known)}, but found {edition!r}.")
        chosen = known[str(edition)]
        zones = {str(zone): (float(low), float(high)) for zone, (low, high) in chosen["zones_um"].items()}
        rules, source = rules_of(chosen, zones), str(chosen["source"])
        super().__init__(rules, name=name, edition=str(edition), source=source, zones_um=zones)


def rules_of(edition: Mapping[str, Any], zones: ZonesUm) -> dict[str, dict[str, Any]]:
    """Turn the lists of an edition into rules, by names such as ``zone B, scratches above 3 um``.

    Raises:
        ValueError: A row names a zone that there is not.
    """
    rules: dict[str, dict[str, Any]] = {}
    for what, (types, measure) in LISTS.items():
        for zone, rows in (edition.get(what) or {}).items():
            if str(zone) not in zones:
                raise ValueError(f"Expected the zones of {what} to be among {', '.join(zones)}, but found {zone!r}.")
            for row in rows:
                bounds = {key: value for key, value in row.items() if key != "at_most"}
                which: dict[str, Any] = {"types": list(types), "zones": [str(zone)]}
                which |= {measure: bounds} if bounds else {}
                rules[f"zone {zone}, {what}{_in_words(bounds)}"] = {"defects": which, "at_most": row["at_most"]}
    return rules


def _in_words(bounds: Mapping[str, float]) -> str:
    """Write bounds as the standard's tables do."""
    if set(bounds) == {"min", "max"}:
        return f" from {bounds['min']:g} to {bounds['max']:g} um"
    words = {"min": "from", "max": "up to", "above": "above", "below": "below"}
    return "".join(f" {words[key]} {value:g} um" for key, value in bounds.items())
