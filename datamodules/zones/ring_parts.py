"""Parts as rows: what is known of every ring of an image, in pixels of the image on disk and in millimetres."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from datamodules.errors import UnreadableImageError

from .ring import find_rings

if TYPE_CHECKING:
    from datamodules.files.images import Array

    from .ring import Ring

Measures: TypeAlias = dict[str, float]
COLUMNS = (
    "outer_diameter",
    "inner_diameter",
    "centre_distance",
    "mean_thickness",
    "min_thickness",
    "max_thickness",
    "ovality",
    "flash",
    "gap",
    "circularity",
    "area",
)
"""The measures of ``parts.csv``, in pixels, square pixels for the area."""
MORE = (
    "x",
    "y",
    "thickness_range",
    "thickness_ratio",
    "thinnest_at",
    "thickest_at",
    "eccentricity",
    "notch",
    "flash_at",
    "gaps",
)
"""Further ones: the outer centre in pixels from the image's corner, directions in degrees counted from the right to the
bottom, eccentricity in percent of the mean radius, and the number of gaps."""
LENGTHS = (*COLUMNS[:9], "thickness_range", "notch")
AREAS = ("area",)
TO_JUDGE = (*COLUMNS, "thickness_range", "thickness_ratio", "eccentricity", "notch")


class Part(NamedTuple):
    """A ring with its measures.

    Attributes:
        number: Within its image, from 1, row by row from the top.
        ring: As found.
        measures: In pixels, by the names of ``COLUMNS`` and ``MORE``; with a scale also in millimetres, by names that
            end in ``_mm`` or ``_mm2``.
    """

    number: int
    ring: Ring
    measures: Measures


def measure_parts(values: Array, path: str, mm_per_pixel: float | None = None) -> list[Part]:
    """Find and measure the parts of an image.

    Args:
        values: (H, W) or (H, W, 3), as stored.
        path: Names the image in errors.
        mm_per_pixel: Of the image; None: unknown.

    Raises:
        UnreadableImageError: It shows no ring.
    """
    found = find_rings(values)
    if not found.rings:
        seen = f" ({found.strange} pieces are not rings)" if found.strange else ""
        raise UnreadableImageError(path, f"shows no ring{seen}", "look at it: is a ring there, whole, and lit?")
    return [
        Part(number, ring, with_millimetres(part_measures(ring), mm_per_pixel))
        for number, ring in enumerate(found.rings, start=1)
    ]


def part_measures(ring: Ring) -> Measures:
    """Return all measures of a ring in pixels."""
    measures = ring.measures()
    thickness = ring.thickness
    middle = (ring.outer.radius + ring.inner.radius) / 2
    return measures | {
        "x": ring.outer.x + 0.5,
        "y": ring.outer.y + 0.5,
        "thickness_range": thickness.largest - thickness.smallest,
        "thickness_ratio": thickness.largest / thickness.smallest if thickness.smallest > 0 else float("inf"),
        "thinnest_at": thickness.thinnest_at,
        "thickest_at": thickness.thickest_at,
        "eccentricity": 100 * measures["centre_distance"] / middle,
        "notch": 0.0 if ring.notch is None else ring.notch.height,
        "flash_at": float("nan") if ring.fin is None else ring.fin.at,
        "gaps": float(len(ring.gaps)),
    }


def with_millimetres(measures: Measures, mm_per_pixel: float | None) -> Measures:
    """Add what is a length or an area in millimetres, where the scale is known."""
    if mm_per_pixel is None:
        return measures
    lengths = {f"{name}_mm": measures[name] * mm_per_pixel for name in LENGTHS if name in measures}
    return measures | lengths | {f"{name}_mm2": measures[name] * mm_per_pixel**2 for name in AREAS}
