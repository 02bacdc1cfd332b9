"""What the parts of a server share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .counting import Counters

if TYPE_CHECKING:
    from .catalogue import Catalogue
    from .keeping import Keeper
    from .limits import Limits


@dataclass
class State:
    """A server's models and what it goes by.

    Attributes:
        catalogue: The models.
        limits: How much a request may ask for.
        keeper: Writes images and verdicts down, if anybody wants that.
        token: That callers must know; None where none is needed.
        counters: What was done so far.
        ending: Whether it has been told to end.
    """

    catalogue: Catalogue
    limits: Limits
    keeper: Keeper
    token: str | None = None
    counters: Counters = field(default_factory=Counters)
    ending: bool = False
