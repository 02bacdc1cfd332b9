"""What a defect of a fiber's end face is, by its shape and place: scratch, pit, chip, dirt, or unsure.

The two that IEC 61300-3-35 tells apart, scratches and all other defects, are the ones to be right; pits and specks of
dirt look alike in outline, and a shape near a rule's limit is ``unsure``, which counts as a defect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from .region_shape import RegionShape

DefectType: TypeAlias = Literal["scratch", "pit", "chip", "dirt", "unsure"]

SLENDER = 8.0  # length over width of a scratch
LONG = 10.0  # micrometres that a scratch has at least
NEAR = 0.8  # of both: nearly a scratch
THREAD = 5.0  # length over width of a thin line that is as long as THREAD_LONG
THREAD_LONG = 25.0
BENT = 1.05  # length along its middle line over its largest diameter; a short one that bends more is unsure
ROUND = 1.7  # length over width of a pit, at most
SOLID = 0.85  # area over that of the convex hull of a pit, at least
TOUCH = 2.0  # micrometres from the cladding's edge: what comes so near is a chip


def type_by_shape(shape: RegionShape, edge_away: float | None) -> DefectType:
    """Name a defect.

    Args:
        shape: In micrometres.
        edge_away: From its nearest pixel to the cladding's edge, in micrometres; None: nobody knows.
    """
    extent, slender = shape.extent, shape.slenderness
    if is_scratch(shape):
        return "scratch"
    if slender >= NEAR * SLENDER and extent.length >= NEAR * LONG:
        return "unsure"
    if edge_away is not None and edge_away <= TOUCH:
        return "chip"
    if slender <= ROUND and shape.solidity >= SOLID:
        return "pit"
    return "dirt"


def is_scratch(shape: RegionShape) -> bool:
    """Tell a scratch from everything else."""
    slender, length = shape.slenderness, shape.extent.length
    if length < THREAD_LONG and length > BENT * shape.extent.size:
        return False  # what sticks out of a core's light is a crescent
    return (slender >= SLENDER and length >= LONG) or (slender >= THREAD and length >= THREAD_LONG)
