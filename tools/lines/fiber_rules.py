"""What rules ask of an end face: the rings that they know, and the zones that they look into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callbacks.acceptance.iec_61300 import Iec61300

if TYPE_CHECKING:
    from callbacks.acceptance.judgement import Acceptance

    from .fiber_face import Rings

SINGLE_MODE: dict[str, tuple[float, float]] = {"A": (0, 25), "B": (25, 115), "C": (115, 135), "D": (135, 250)}


def rings_of(acceptance: Acceptance | None) -> Rings:
    """Return inner and outer diameter of zones in micrometres; those of single mode where the rules know none."""
    return dict(acceptance.zones_um) if isinstance(acceptance, Iec61300) else dict(SINGLE_MODE)


def asked_zones(acceptance: Acceptance | None) -> frozenset[str]:
    """Return the zones that any rule looks into: an image has to show them whole."""
    rules = {} if acceptance is None else acceptance.rules
    asked = [rule.get("defects", {}).get("zones", ()) for rule in rules.values()]
    return frozenset(zone for zones in asked for zone in ([zones] if isinstance(zones, str) else zones))
