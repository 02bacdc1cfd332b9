"""Which image is next: the nearest to the threshold, but for a share that is picked at random.

The random share is what a calibration can be honest on: images near the threshold are not like those to come. Whether
an image belongs to it is decided by its name and a seed alone, before anybody judged it, so that neither its score nor
the order in which people work has a say.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from .entries import NEAREST, RANDOM

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Scored:
    """What decides the place of an image.

    Attributes:
        name: Of the image.
        score: Raw; None: nobody judged it.
        threshold: That holds for it.
    """

    name: str
    score: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Picked:
    """A place in the queue: which image, and whether it is the ``nearest`` or was picked at ``random``."""

    name: str
    picked: str


def nearest_first(images: Iterable[Scored], seed: int = 0) -> list[str]:
    """Order images by ``|score - threshold|``, ties by name; those without a score last, as the seed draws."""

    def place(image: Scored) -> tuple[bool, float, str]:
        if image.score is None or image.threshold is None:
            return True, draw(image.name, seed), image.name
        return False, abs(image.score - image.threshold), image.name

    return [image.name for image in sorted(images, key=place)]


def how_picked(image: Scored, share: float, seed: int) -> str:
    """Tell whether an image belongs to the random share, as all do that nobody judged."""
    judged = image.score is not None and image.threshold is not None
    return NEAREST if judged and draw(image.name, seed) >= share else RANDOM


def draw(name: str, seed: int) -> float:
    """Draw a number in [0, 1) for a name, the same on every machine, wherever its folder lies there."""
    own = "/".join(PurePath(name.replace("\\", "/")).parts[-2:])
    digest = hashlib.sha256(f"{seed}\0{own}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)


class Queue:
    """The order of a set of images.

    Args:
        images: All of them.
        share: Of images that are picked at random, from 0 to 1.
        seed: Of the draw.

    Attributes:
        picked: How every image is picked, by name.
    """

    def __init__(self, images: Iterable[Scored], share: float = 0.5, seed: int = 0) -> None:
        known = list(images)
        self.share = share
        self.picked = {image.name: how_picked(image, share, seed) for image in known}
        self._nearest = nearest_first(known, seed)
        self._random = sorted((image.name for image in known), key=lambda name: (draw(name, seed), name))

    def order(self, labelled: set[str]) -> list[Picked]:
        """Order all images: unlabelled ones first, and every so many one of the random share; then labelled ones.

        Args:
            labelled: Names of images that need no verdict.
        """
        near = [name for name in self._nearest if name not in labelled and self.picked[name] == NEAREST]
        drawn = [name for name in self._random if name not in labelled and self.picked[name] == RANDOM]
        known = [name for name in self.picked if name in labelled]
        done, at_random = len(known), sum(self.picked[name] == RANDOM for name in known)
        near.reverse()
        drawn.reverse()
        found: list[Picked] = []
        while near or drawn:
            due = at_random < int(self.share * (done + 1) + 1e-9)
            name = drawn.pop() if drawn and (due or not near) else near.pop()
            found.append(Picked(name, self.picked[name]))
            done, at_random = done + 1, at_random + (self.picked[name] == RANDOM)
        return found + [Picked(name, self.picked[name]) for name in self._nearest if name in labelled]
