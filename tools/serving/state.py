"""What the parts of a server share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .counting import Counters
from .limits import MEGA
from .shelf import Shelf

if TYPE_CHECKING:
    from .archive import Archive
    from .catalogue import Catalogue
    from .keeping import Keeper
    from .limits import Limits
    from .recording import Recorder
    from .watching import Watcher


@dataclass
class State:
    """A server's models and what it goes by.

    Attributes:
        catalogue: The models.
        limits: How much a request may ask for.
        keeper: Writes images and verdicts down, if anybody wants that.
        token: That callers must know; None where none is needed.
        counters: What was done so far.
        shelf: What the page shows.
        watcher: Looks into a folder, if that was asked for.
        archive: The table of verdicts, if there is one.
        recorder: Writes verdicts on uploads to it.
        ending: Whether it has been told to end.
    """

    catalogue: Catalogue
    limits: Limits
    keeper: Keeper
    token: str | None = None
    counters: Counters = field(default_factory=Counters)
    shelf: Shelf = field(default_factory=lambda: Shelf(256 * MEGA))
    watcher: Watcher | None = None
    archive: Archive | None = None
    recorder: Recorder | None = None
    ending: bool = False
