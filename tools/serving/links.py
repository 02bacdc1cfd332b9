"""What a server's pages lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .state import State


class Link(NamedTuple):
    """A page that there is.

    Attributes:
        address: Of it.
        words: Its name.
        here: Whether it is the one that is shown.
    """

    address: str
    words: str
    here: bool


def links_of(state: State, here: str) -> list[Link]:
    """List the pages that a server has; only one: none."""
    pages = [("/", "Judge images")]
    if state.watcher is not None:
        pages.append(("/watch", "Newest verdict"))
    if state.archive is not None:
        pages += [("/jobs", "Print jobs"), ("/history", "Flagged and confirmed")]
    return [Link(address, words, address == here) for address, words in pages] if len(pages) > 1 else []
