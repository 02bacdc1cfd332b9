"""From what Loupe finds on an image to the facts that acceptance decides by, and what is missing among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .facts import DEFECT_MEASURES, DefectFacts, Facts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from callbacks.defects.measured import Defect

    from .facts import Measures

WHY = {
    "zones": "the image has none",
    "scale": "nobody said how many micrometres a pixel is (data.um_per_pixel)",
    "types": "the model tells none",
    "type": "the model tells none",
    "part": "nobody measured it",
}


class Seen(NamedTuple):
    """What is known of one judged image beside its defects.

    Attributes:
        defective: The model's verdict.
        kind: Its sub-population; empty where it has none.
        um_per_pixel: Of the file; None where nobody said.
        zoned: Whether zones are known.
        typed: Whether the model tells types.
        type: That it told of the image; empty where it told none.
        part: Measures of the part; None where nobody measured it.
    """

    defective: bool
    kind: str = ""
    um_per_pixel: float | None = None
    zoned: bool = False
    typed: bool = False
    type: str = ""
    part: Measures | None = None


def gather(seen: Seen, defects: Sequence[Defect]) -> Facts:
    """Gather the facts of one image, from its defects as listed."""
    known = {
        "zones": seen.zoned,
        "scale": seen.um_per_pixel is not None,
        "types": seen.typed,
        "type": seen.typed,
        "part": seen.part is not None,
    }
    return Facts(
        verdict="defective" if seen.defective else "good",
        defects=tuple(_facts_of(defect) for defect in defects),
        kind=seen.kind,
        type=seen.type or (GOOD if seen.typed and not seen.defective else None),
        measures=seen.part or {},
        missing={name: why for name, why in WHY.items() if not known[name]},
    )


GOOD = "good"  # the type of an image on which a model that tells types finds nothing


def _facts_of(defect: Defect) -> DefectFacts:
    values: Mapping[str, float | None] = {
        name: getattr(defect, name) for name in DEFECT_MEASURES if hasattr(defect, name)
    }
    return DefectFacts(defect.defect, values, defect.predicted_type or None, defect.inside)
