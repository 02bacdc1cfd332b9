"""An image on its way to a judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import PurePosixPath

    from callbacks.acceptance.facts import Measures
    from datamodules.files.images import Array

    from .zoning import Zoned


class Prepared(NamedTuple):
    """An image that was read, or why it could not be.

    ``image_3HW`` is float32 in [0, 1], ``size`` as read; ``facts`` are those of the file, where anybody asks for them,
    and ``part`` measures of the part that it shows, where anybody takes them. ``zoned`` are its zones, where
    anybody finds them, and ``kind`` is what its look or its name says, where a judge has members for kinds.
    ``read`` reads it once more, and ``shown`` is what a page shows of it, (h, w, 3) uint8, where one is asked for.
    ``stored`` is the image itself, where rules ask for a closer look at it.
    """

    name: str
    place: PurePosixPath
    image_3HW: Array | None
    size: tuple[int, int] = (0, 0)
    error: str = ""
    facts: Mapping[str, float] = {}
    part: Measures | None = None
    zoned: Zoned | None = None
    kind: str = ""
    read: Callable[[], Array] | None = None
    shown: Array | None = None
    stored: Array | None = None
