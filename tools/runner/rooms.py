"""How a bundle finds the parts of Loupe that it ships: under its own name, never under theirs.

The files of a bundle are those of the repository, byte for byte. There, ``from datamodules.errors import DataError``
names a folder beside ``tools``; in a bundle that folder lies below ``loupe_runner``, because a customer's machine, or
the very process that judges, may hold packages named ``models`` or ``tools`` of its own. So in a bundle such an import
is compiled as the relative one that it amounts to: ``from ..datamodules.errors import DataError``, say. Nothing but the
imports of the shipped files themselves is touched, ``sys.path`` least of all, and bundles of several versions live side
by side in one process. In the repository, where no such folders lie below the runner, nothing is done.
"""

from __future__ import annotations

import ast
import sys
from importlib.abc import FileLoader, MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import CodeType, ModuleType


def keep_rooms_below(package: str, folder: Path) -> None:
    """Let the modules of a package find the folders below it by the names that these have in the repository."""
    rooms = frozenset(path.parent.name for path in folder.glob("*/__init__.py"))
    known = [finder for finder in sys.meta_path if getattr(finder, "package", None) == package]
    for finder in known:  # the package is imported anew, and this class with it
        sys.meta_path.remove(finder)
    if rooms:
        sys.meta_path.insert(0, RoomFinder(package, rooms))


class RoomFinder(MetaPathFinder):
    """Finds the modules of one package, and of no other."""

    def __init__(self, package: str, rooms: frozenset[str]) -> None:
        self.package, self.rooms = package, rooms

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module where Python would, to be loaded with the rooms below its package."""
        if not fullname.startswith(f"{self.package}."):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            return spec
        inside = fullname if spec.submodule_search_locations is not None else fullname.rpartition(".")[0]
        level = inside.count(".") - self.package.count(".") + 1
        spec.loader = RoomLoader(fullname, spec.origin, level, self.rooms)
        return spec


class RoomLoader(FileLoader, SourceLoader):
    """Compiles a module with its imports from rooms made relative; writes nothing beside it.

    Args:
        fullname: Of the module.
        path: Of its source.
        level: Dots that lead from the module to the package that holds the rooms.
        rooms: Names of the folders there.
    """

    def __init__(self, fullname: str, path: str, level: int, rooms: frozenset[str]) -> None:
        super().__init__(fullname, path)
        self.level, self.rooms = level, rooms

    def source_to_code(self, data: Any, path: Any = "<string>") -> CodeType:  # type: ignore[override]  # stubs differ
        """Compile a source; lines and columns stay as they are."""
        tree = ast.parse(data, path)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and not node.level and _first(node.module) in self.rooms:
                node.level = self.level
        return compile(tree, path, "exec", dont_inherit=True)


def _first(name: str | None) -> str:
    return (name or "").partition(".")[0]
