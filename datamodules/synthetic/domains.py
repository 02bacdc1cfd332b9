"""Which domains can be drawn, and which image comes n-th.

Every identity has its label for good: of the slots of a group, shuffled by the seed, the first are good images and
the others defective ones. So the n-th good and the n-th defective image never depend on how many are asked for, and
an image's number says nothing about its label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import fiber, meta_atom, metallography, oring, print3d
from .drawing import Drawing, DrawingError, Identity, nearest_name

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN_RATIO = 0.618033988749895


@dataclass(frozen=True)
class Domain:
    """How a domain is drawn.

    Attributes:
        draw: Takes the identity, the size in pixels, the defect or None, and the severity.
        defects: The names of its defects.
        good_per_group: How many good images a full group holds.
        defective_per_group: How many defective ones.
    """

    draw: Callable[[Identity, int, str | None, float], Drawing]
    defects: tuple[str, ...]
    good_per_group: int
    defective_per_group: int


@dataclass(frozen=True)
class Order:
    """An image to draw: who it is, and its defect."""

    identity: Identity
    defect: str | None
    severity: float


DOMAINS: dict[str, Domain] = {
    "fiber": Domain(fiber.draw, fiber.DEFECTS, good_per_group=4, defective_per_group=2),
    "oring": Domain(oring.draw, oring.DEFECTS, good_per_group=4, defective_per_group=2),
    "meta_atom": Domain(meta_atom.draw, meta_atom.DEFECTS, good_per_group=16, defective_per_group=4),
    "metallography": Domain(metallography.draw, metallography.DEFECTS, good_per_group=4, defective_per_group=2),
    "print3d": Domain(print3d.draw, print3d.DEFECTS, good_per_group=4, defective_per_group=2),
}


def find_domain(name: str) -> Domain:
    """Return the domain called ``name``.

    Raises:
        DrawingError: If there is none; the message names the nearest.
    """
    if name not in DOMAINS:
        meant = nearest_name(name, DOMAINS)
        raise DrawingError(f"Expected domain to be one of {', '.join(DOMAINS)}, got {name!r}; did you mean {meant!r}?")
    return DOMAINS[name]


def good_image(name: str, seed: int, number: int) -> Order:
    """Return the good image with this ``number``, from zero."""
    group, rank = divmod(number, find_domain(name).good_per_group)
    return Order(_placed(name, seed, group, rank), defect=None, severity=0.0)


def defective_image(name: str, seed: int, number: int) -> Order:
    """Return the defective image with this ``number``, from zero.

    Each run of as many images as there are defects holds every defect once, in random order. A defect's severities
    follow the golden ratio's sequence, which covers [0, 1) evenly however many there are.
    """
    domain = find_domain(name)
    group, rank = divmod(number, domain.defective_per_group)
    block, place = divmod(number, len(domain.defects))
    which = int(Identity(seed, name, block, 0).shared("defects").permutation(len(domain.defects))[place])
    start = Identity(seed, name, 0, 0).shared("severity").random(len(domain.defects))[which]
    return Order(
        identity=_placed(name, seed, group, domain.good_per_group + rank),
        defect=domain.defects[which],
        severity=float((start + block * GOLDEN_RATIO) % 1.0),
    )


def _placed(name: str, seed: int, group: int, rank: int) -> Identity:
    """Return the identity of the image at ``rank`` of a group's shuffled slots."""
    domain = find_domain(name)
    slots = (
        Identity(seed, name, group, 0).shared("slots").permutation(domain.good_per_group + domain.defective_per_group)
    )
    return Identity(seed, name, group, int(slots[rank]))
