"""What rules ask of an end face: the rings that they know, and the zones that they look into."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callbacks.acceptance.judgement import Acceptance
    from tools.runner.face import Rings

SINGLE_MODE: dict[str, tuple[float, float]] = {"A": (0, 25), "B": (25, 115), "C": (115, 135), "D": (135, 250)}


def rings_of(acceptance: Acceptance | None) -> Rings:
    """Return inner and outer diameter of zones in micrometres; those of single mode where the rules know none."""
    return dict((acceptance and acceptance.rings) or SINGLE_MODE)


def asked_zones(acceptance: Acceptance | None) -> frozenset[str]:
    """Return the zones that any rule looks into: an image has to show them whole."""
    return frozenset() if acceptance is None else acceptance.asked_zones
