"""Who has which image before them, so that two people do not judge one image at the same time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PATIENCE_S = 300.0


class _Lease(NamedTuple):
    by: str
    ends: float


class Leases:
    """Images that are reserved, each for one person, as long as that person is active.

    Args:
        seconds: Until a person of whom nothing is heard has left.
        clock: Tells the time.
    """

    def __init__(self, seconds: float = PATIENCE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._held: dict[str, _Lease] = {}

    def free(self, image: str, by: str) -> bool:
        """Tell whether a person may have an image."""
        held = self._held.get(image)
        return held is None or held.by == by or held.ends < self._clock()

    def hold(self, images: Iterable[str], by: str) -> None:
        """Reserve these images for a person, and release all others that they hold."""
        self.leave(by)
        ends = self._clock() + self.seconds
        self._held |= {image: _Lease(by, ends) for image in images if self.free(image, by)}

    def holder(self, image: str) -> str:
        """Name who has an image; empty where nobody has."""
        held = self._held.get(image)
        return held.by if held is not None and held.ends >= self._clock() else ""

    def touch(self, by: str) -> None:
        """Hear of somebody: what they hold stays theirs."""
        ends = self._clock() + self.seconds
        self._held = {image: held._replace(ends=ends) if held.by == by else held for image, held in self._held.items()}

    def leave(self, by: str) -> None:
        """Release all images that a person holds."""
        self._held = {image: held for image, held in self._held.items() if held.by != by}
