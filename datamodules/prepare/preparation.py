"""What a preparation of raw images reports, whichever domain they are from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from datamodules.errors import UnreadableImageError


@dataclass(frozen=True)
class Prepared:
    """What was written.

    Attributes:
        out: The folder.
        images: How many were cut.
        tiles: How many there are by split, or under one name where nothing is split.
        left_out: Files, or parts of files, that could not be used, and why.
        next_step: The command that trains on it.
        summary: What was done, in a sentence of the domain's own; empty where images were cut to tiles.
        notes: Whole sentences that a reader must not miss.
    """

    out: Path
    images: int
    tiles: dict[str, int]
    left_out: Sequence[UnreadableImageError]
    next_step: str
    summary: str = ""
    notes: Sequence[str] = ()


class Preparation(Protocol):
    """Raw images of one domain to a folder that its datamodule reads; its arguments are the keys of its config."""

    def write(self) -> Prepared:
        """Write everything.

        Raises:
            DataError: There is nothing to prepare, or nowhere to write.
        """
        ...
