"""Whose ``models`` is meant: Loupe's rooms are top-level packages, and so may be a user's own of the same names.

``loupe``, or ``import loupe``, may be called in a folder that holds a package named ``models``, ``tools`` or
``configs``, or beside an installed one. From then on these few names mean Loupe's, in this process and in those that it
starts; every other name is looked for as ever. Where a package of such a name was imported before, it stays, and Loupe
says so instead of failing half-way.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

ROOMS = ("callbacks", "configs", "datamodules", "models", "tools")


class RoomFinder(MetaPathFinder):
    """Finds Loupe's rooms beside this package, wherever else such names may be found.

    Args:
        home: The folder that holds the rooms.
    """

    def __init__(self, home: str) -> None:
        self.home = home

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a room; leave all else to others."""
        return PathFinder.find_spec(fullname, [self.home], target) if path is None and fullname in ROOMS else None


def claim(home: str) -> None:
    """Let the names of the rooms mean those in ``home``, from now on.

    Raises:
        ImportError: A stranger's package has one of the names, and is imported already.
    """
    if any(isinstance(finder, RoomFinder) for finder in sys.meta_path):
        return
    for room in ROOMS:
        known = sys.modules.get(room)
        places = [] if known is None else list(getattr(known, "__path__", ()))
        if known is not None and f"{home}/{room}" not in [place.replace("\\", "/") for place in places]:
            where = places[0] if places else getattr(known, "__file__", None) or "a file"
            raise ImportError(
                f"Expected the name {room!r} to be free for Loupe, but {where} was imported by it; import loupe first, "
                "or rename that package."
            )
    sys.meta_path.insert(0, RoomFinder(home))
