"""What acceptance decides by: the facts of one part, in plain values, where whatever nobody knows is None.

Units are part of a name: ``width`` is in pixels of the image on disk, ``width_um`` in micrometres, ``area_um2`` in
square micrometres. Where the scale is unknown, those in micrometres are None, and ``missing`` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Verdict = Literal["good", "defective"]
Measures: TypeAlias = Mapping[str, float | None]
"""By name; None, or no entry: nobody knows."""

DEFECT_MEASURES = (
    "area",
    "length",
    "width",
    "size",  # largest Feret diameter
    "area_um2",
    "length_um",
    "width_um",
    "size_um",
    "peak",
    "confidence",
    "score",
)
SCALED = ("_um", "_um2", "_mm", "_mm2")  # ends of names whose numbers need the scale


@dataclass(frozen=True)
class DefectFacts:
    """One defect of a part.

    Attributes:
        number: Within its image, from 1, as in defects.csv.
        measures: Of the whole defect, by the names in ``DEFECT_MEASURES``.
        type: Such as ``scratch``; None where nobody knows.
        inside: Measures of what of it lies in each zone, by the zone's name: a defect across two zones has two entries,
            and counts in each with its part inside. Empty: it lies outside all zones. None: nobody knows where it lies.
    """

    number: int
    measures: Measures = field(default_factory=dict)
    type: str | None = None
    inside: Mapping[str, Measures] | None = None


@dataclass(frozen=True)
class Facts:
    """What is known about one part.

    Attributes:
        verdict: The model's; None where no model has looked.
        defects: Every one that was found; None where nobody has looked for any, or the search failed.
        kind: The part's sub-population; empty where it has none.
        type: That the model says of the whole image, such as ``Missing``; None where it says none.
        measures: Of the part, such as ``outer_diameter``.
        missing: What nobody knows about this part, and why, in words without a full stop (or empty): ``verdict``,
            ``defects``, ``type`` (of the image), ``types`` (of defects), ``zones``, ``scale``, ``part`` (all measures
            of it), or the name of one measure. A rule that needs such a fact is not decided, even where no defect was
            found: what was not measured did not pass.
    """

    verdict: Verdict | None = None
    defects: tuple[DefectFacts, ...] | None = None
    kind: str = ""
    type: str | None = None
    measures: Measures = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


def needs_scale(measure: str) -> bool:
    """Tell whether a measure cannot be known without the scale."""
    return measure.endswith(SCALED)
