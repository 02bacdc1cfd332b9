"""The core within a cladding that was found: lit, or as large as its kind says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from .rays import fit_ring
from .rings import COHERENT, Ring, rings

if TYPE_CHECKING:
    from .ellipse import Ellipse, Plane

WITHIN = 0.1  # of the given size: a core of a known kind is sought so far from it
LIT = 0.12  # of the cladding's contrast: a step that is weaker says nothing without a given size
ALONE = 0.6  # of the strongest step: a second ring above this makes it a guess which one is the core
SIGNIFICANT = 6.0
HIGHEST = 0.93  # of the cladding's radius
APART = 0.05  # of its radius that a fit may end from where the ring was found, or ...
APART_PIXELS = 1.5  # ... so many pixels: rings are sought in steps of a pixel


class Core(NamedTuple):
    """A core.

    Attributes:
        shape: Its ellipse.
        source: ``seen``, or ``given`` where nothing is to be seen at the size that its kind has.
    """

    shape: Ellipse
    source: Literal["seen", "given"]


def find_core(grey_HW: Plane, cladding: Ellipse, contrast: float, ratio: float | None) -> Core | None:
    """Find the core; None where it is not lit and nobody gave its size.

    Args:
        grey_HW: The image.
        cladding: As found in it.
        contrast: Of the cladding: brightness outside minus inside.
        ratio: Radius of the core over that of the cladding, where known.
    """
    ring = _of_known_size(grey_HW, cladding, ratio) if ratio else _lit(grey_HW, cladding, abs(contrast))
    if ring is not None:
        start = cladding._replace(radius=cladding.radius * ring.at)
        fitted = fit_ring(grey_HW, start, 1.0 if ring.contrast > 0 else -1.0, cladding.aspect)
        farthest = max(APART * start.radius, APART_PIXELS)
        if fitted is not None and fitted.share > 0.4 and abs(fitted.shape.radius - start.radius) < farthest:
            return Core(fitted.shape._replace(skew=cladding.skew), "seen")
        return Core(start, "seen")
    return Core(cladding._replace(radius=cladding.radius * ratio), "given") if ratio else None


def _half(cladding: Ellipse) -> float:
    return max(0.025, 1.5 / cladding.radius)


def _of_known_size(grey_HW: Plane, cladding: Ellipse, ratio: float) -> Ring | None:
    found = rings(grey_HW, cladding, ratio * (1 - WITHIN), min(ratio * (1 + WITHIN), HIGHEST), _half(cladding))
    usable = [ring for ring in found if ring.coherence > 0.55 and ring.significance > SIGNIFICANT]
    return max(usable, key=lambda ring: abs(ring.contrast) * ring.coherence, default=None)


def _lit(grey_HW: Plane, cladding: Ellipse, contrast: float) -> Ring | None:
    half = _half(cladding)
    found = [ring for ring in rings(grey_HW, cladding, 2 * half, HIGHEST, half) if ring.coherence >= COHERENT]
    if not found or abs(found[0].contrast) < LIT * contrast or found[0].significance < SIGNIFICANT:
        return None
    rest = [abs(ring.contrast) for ring in found[1:] if abs(ring.at - found[0].at) > 2.5 * half]
    return found[0] if max(rest, default=0.0) < ALONE * abs(found[0].contrast) else None
