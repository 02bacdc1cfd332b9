"""Micrometres per pixel, along x and along y, and how anybody knows.

A cladding of known size gives the scale of its own image; the median over the images of one kind and one size is
steadier, since focus moves an edge by up to a hundredth of the radius.
"""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .ellipse import Ellipse
    from .prior import Prior

Source: TypeAlias = Literal["given", "image", "kind"]
FEWEST = 5  # scales that a median is taken over


class Scale(NamedTuple):
    """Micrometres per pixel of the image on disk.

    Attributes:
        x: Along a row.
        y: Along a column.
        source: ``given`` by a person, from this ``image``'s cladding, or the median of its ``kind`` and image size.
        spread: Relative standard deviation of what a median was taken over; 0 otherwise.
    """

    x: float
    y: float
    source: Source
    spread: float = 0.0


def scale_of_image(cladding: Ellipse, prior: Prior) -> Scale:
    """Return the scale that an image's own cladding gives."""
    along_y = prior.outer_um / (2 * cladding.radius)
    return Scale(along_y / cladding.aspect, along_y, "image")


def scale_of_kind(scales: Sequence[Scale]) -> Scale | None:
    """Return the median over the images of one kind, microscope and image size; None where there are too few."""
    if len(scales) < FEWEST:
        return None
    x, y = (median(values) for values in ([scale.x for scale in scales], [scale.y for scale in scales]))
    spread = 1.4826 * median(abs(scale.y - y) for scale in scales) / y
    return Scale(x, y, "kind", spread)


def core_offset_um(cladding: Ellipse, core: Ellipse, scale: Scale) -> float:
    """Return how far the core's centre lies from the cladding's, in micrometres (concentricity error)."""
    return math.hypot((core.cx - cladding.cx) * scale.x, (core.cy - cladding.cy) * scale.y)


def ovality(cladding: Ellipse, aspect: float) -> float:
    """Return the largest diameter minus the smallest, over their mean, in pixels made square: 0 for a circle.

    Args:
        cladding: In pixels.
        aspect: Of a circle in these pixels, x over y. Where only this very image says it, what the fiber is longer in x
            than in y cannot be told from pixels that are not square, and counts as theirs.
    """
    stretch = cladding.aspect / aspect
    mean, skew = (1 / stretch**2 + 1) / 2, cladding.skew / stretch
    half = math.hypot((1 / stretch**2 - 1) / 2, skew)
    largest, smallest = 1 / math.sqrt(mean - half), 1 / math.sqrt(mean + half)
    return 2 * (largest - smallest) / (largest + smallest)


def disagreement(core: Ellipse, cladding: Ellipse, prior: Prior) -> float | None:
    """Return by how much a core that is seen contradicts the sizes of its kind, relative; None where they are unknown.

    A core of 91 um in a cladding of 142.5 that is taken for one of 125 comes out 10 % too small.
    """
    if prior.core_ratio is None:
        return None
    return core.mean_radius / cladding.mean_radius / prior.core_ratio - 1.0
