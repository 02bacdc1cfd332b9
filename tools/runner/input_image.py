"""One image that is to be judged, wherever it comes from, or what stands in its place."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from datamodules.errors import UnreadableImageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import PurePosixPath

    from datamodules.files.images import Array


class InputImage(NamedTuple):
    """An image to be judged.

    Attributes:
        name: Stands in its row: its path, ``archive.zip/member.png``, or ``video.mp4#12`` for the 13th frame.
        place: Where its overlay goes, below the folder of overlays.
        read: Reads it as stored, or raises an ``UnreadableImageError``.
    """

    name: str
    place: PurePosixPath
    read: Callable[[], Array]


def refused(name: str, place: PurePosixPath, problem: str, remedy: str) -> InputImage:
    """Stand for what cannot be judged: reading it raises the error that says why."""
    return InputImage(name, place, partial(_refuse, name, problem, remedy))


def _refuse(name: str, problem: str, remedy: str) -> NoReturn:
    raise UnreadableImageError(name, problem, remedy)
