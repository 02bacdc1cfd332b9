"""The rules' last word on a decided image: accepted, rework, rejected or unknown, with reasons."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from callbacks.acceptance.gathering import Seen, gather

if TYPE_CHECKING:
    from callbacks.acceptance.facts import Measures
    from callbacks.acceptance.inspecting import Inspected
    from callbacks.acceptance.judgement import Acceptance

    from .measuring import Measuring
    from .result import Result


def accept(
    result: Result,
    acceptance: Acceptance | None,
    measuring: Measuring | None,
    part: Measures | None = None,
    inspected: Inspected | None = None,
) -> Result:
    """Judge the part on an image by its defects, as they are listed.

    Args:
        result: The image, decided, or why it could not be.
        acceptance: The rules; None: there are none, and the result stays as it is.
        measuring: How defects are listed.
        part: Measures of the part, where anybody took them.
        inspected: What came of a closer look at the image, where these rules ask for one.
    """
    if acceptance is None:
        return result
    if inspected is not None:
        return replace(result, defects=inspected.defects, known=inspected.facts, acceptance=inspected.judgement)
    if result.error or measuring is None:
        why = f"the image {result.error}" if result.error else "nobody measures the defects of these images"
        return replace(result, acceptance=acceptance.unjudged(why))
    defects = tuple(measuring.measure(result))
    zoned = result.zones_HW is not None and bool(result.zones_HW.any())
    seen = Seen(result.defective, result.kind, measuring.scale_of(result), zoned=zoned, part=part)
    seen = seen._replace(typed=bool(result.classes), type=result.type)
    known = gather(seen, defects)
    return replace(result, defects=defects, known=known, acceptance=acceptance(known))
