"""What a drawing is, and who it is: an image with its truth, and the identity that decides all that is random in it.

Shape letters: H and W image height and width (equal here), P points of a polygon.
"""

from __future__ import annotations

import difflib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

MIN_SIZE = 32


class DrawingError(ValueError):
    """An image was asked for that cannot be drawn; the message says what can."""


@dataclass(frozen=True)
class Drawing:
    """A synthetic image and the truth about it.

    Attributes:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
        mask: (H, W), true where a defect changed the image; all false for a good one.
        defect: The defect's name, None for a good image.
        severity: 0 barely visible to 1 gross; 0 for a good image.
        kind: The sub-population: core size, o-ring model, pillar shape, etch, layer group.
        group: What a split must not cut: connector, lot, array, scan, build.
        zones: (H, W) uint8 with 1 core, 2 cladding, 3 ferrule, for fibers.
        polygons: (P, 2) outlines of the defects in pixels, x before y; filling them (borders included) gives ``mask``.
        row: One-based row of a meta-atom in its array.
        col: One-based column of a meta-atom in its array.
    """

    image: Bytes
    mask: Mask
    defect: str | None
    severity: float
    kind: str
    group: str
    zones: Bytes | None = None
    polygons: tuple[Floats, ...] = ()
    row: int | None = None
    col: int | None = None


@dataclass(frozen=True)
class Identity:
    """Who an image is. Equal identities draw equal images, and nothing else does.

    Randomness comes in named streams, so that one use never shifts another: an image with a defect is pixel for pixel
    the good image of the same identity wherever the defect is not.

    Attributes:
        seed: The data set's seed, zero or more.
        domain: The domain's name.
        group: Number of the group, from zero.
        slot: Place within the group, from zero.
    """

    seed: int
    domain: str
    group: int
    slot: int

    def __post_init__(self) -> None:
        """Refuse negative numbers, which NumPy's seeds do not take."""
        if min(self.seed, self.group, self.slot) < 0:
            raise DrawingError(f"Expected seed, group and slot to be zero or more, got {self}; use another seed.")

    def own(self, purpose: str) -> np.random.Generator:
        """Return the stream for ``purpose`` that this image alone uses."""
        return _stream(self.seed, _number(self.domain), self.group, _number(purpose), self.slot + 1)

    def shared(self, purpose: str) -> np.random.Generator:
        """Return the stream for ``purpose`` that all images of the group share; every call starts it anew."""
        return _stream(self.seed, _number(self.domain), self.group, _number(purpose))


def floats(values: npt.ArrayLike) -> Floats:
    """Return ``values`` as a float32 array of the same shape."""
    return np.asarray(values, dtype=np.float32)


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return the name in ``known`` that ``name`` most likely meant."""
    choices = list(known)
    return max(choices, key=lambda choice: difflib.SequenceMatcher(None, name.lower(), choice).ratio())


def check_request(size: int, defect: str | None, severity: float, defects: tuple[str, ...]) -> None:
    """Refuse what a domain cannot draw.

    Raises:
        DrawingError: If ``size`` is too small, ``severity`` is outside [0, 1] or ``defect`` is none of ``defects``.
    """
    if size < MIN_SIZE:
        raise DrawingError(f"Expected size to be at least {MIN_SIZE} pixels, got {size}; defects would be lost.")
    if not 0.0 <= severity <= 1.0:
        raise DrawingError(f"Expected severity to lie in [0, 1] (0 barely visible, 1 gross), got {severity}.")
    if defect is not None and defect not in defects:
        meant = nearest_name(defect, defects)
        raise DrawingError(
            f"Expected defect to be one of {', '.join(defects)}, got {defect!r}; did you mean {meant!r}?"
        )


def _number(name: str) -> int:
    return zlib.crc32(name.encode())


def _stream(*entropy: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(entropy))
