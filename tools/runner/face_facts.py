"""From an end face to the facts that rules decide by, and what is missing among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callbacks.acceptance.facts import DefectFacts, Facts, Measures
from datamodules.zones.finding import SUPPORT

from .face import INSIDE

if TYPE_CHECKING:
    from collections.abc import Collection

    from callbacks.acceptance.judgement import Judgement
    from callbacks.defects.region_shape import Extent, RegionShape

    from .face import Face, FaceDefect


def facts_of(face: Face, kind: str, zones: Collection[str]) -> Facts:
    """Gather what is known of a face.

    Args:
        face: That was inspected.
        kind: Its sub-population.
        zones: That the rules ask for.
    """
    verdict = face.marks.verdict if face.marks is not None else ""
    return Facts(
        verdict="defective" if verdict == "defective" else "good" if verdict == "good" else None,
        defects=None if face.defects is None else tuple(map(_defect_facts, face.defects)),
        kind=kind,
        measures=face.measures,
        missing=_missing(face, zones),
    )


def _missing(face: Face, zones: Collection[str]) -> dict[str, str]:
    """Say what nobody knows of a face, and why."""
    why: dict[str, str] = {}
    if not face.zones.found:
        reason = f"the cladding was not found for certain (support {face.zones.support:.2f} of {SUPPORT:g})"
        why = {"zones": reason, "part": reason} | ({"defects": reason} if face.defects is None else {})
    if hidden := hidden_zones(face, zones):
        reason = " and ".join(f"zone {name} to {face.in_view[name]:.0%}" for name in hidden)
        why["zones"] = f"the image shows {reason} only"
    if face.scale is None:
        why["scale"] = "micrometres per pixel are unknown; set um_per_pixel"
    return why


def hidden_zones(face: Face, zones: Collection[str]) -> list[str]:
    """Return the zones that rules ask for and that the image does not show whole."""
    return [name for name, share in face.in_view.items() if name in zones and share < INSIDE]


def condensed(judged: Judgement, facts: Facts) -> Judgement:
    """Say once what is unknown, which every rule would say again."""
    if judged.state != "unknown":
        return judged
    asked = {why for why in facts.missing.values() if any(why in reason for reason in judged.reasons)}
    others = tuple(reason for reason in judged.reasons if not any(why in reason for why in asked))
    return judged._replace(reasons=(*sorted(asked), *others))


def _defect_facts(defect: FaceDefect) -> DefectFacts:
    inside = None if defect.parts is None else {name: measures_of(part) for name, part in defect.parts.items()}
    scaled = {} if defect.parts is None else measures_of(defect.shape.extent)
    return DefectFacts(defect.number, {**lengths_of(defect.shape), **scaled}, defect.type, inside)


def lengths_of(shape: RegionShape) -> dict[str, float]:
    """Name lengths and area in pixels on disk as rules do; pixels that are not square count as square ones."""
    unit, extent = (shape.scale.x * shape.scale.y) ** 0.5, shape.extent
    lengths = {name: round(getattr(extent, name) / unit, 3) for name in ("length", "width", "size")}
    return {"area": round(extent.area / unit**2, 3)} | lengths


def measures_of(extent: Extent) -> Measures:
    """Name lengths in micrometres as rules do."""
    values = {"size_um": extent.size, "width_um": extent.width, "length_um": extent.length, "area_um2": extent.area}
    return {name: round(value, 3) for name, value in values.items()}
