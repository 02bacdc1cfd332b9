"""Which files of the repository a program needs: what it imports, however indirectly, read from the sources.

Imports that only type checkers see are left out; those inside of functions count.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def reached(start: Iterable[Path], root: Path) -> list[Path]:
    """List the files that some files import, themselves included.

    Args:
        start: Files below ``root``.
        root: The folder that absolute imports begin at; what is not below it is somebody else's.
    """
    found: set[Path] = set()
    waiting = list(start)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [file for name in imported(path, root) for file in _files_of(name, root)]
    return sorted(found)


def imported(path: Path, root: Path) -> list[str]:
    """List what a file may import, by absolute dotted names: ``from a import b`` gives ``a.b``, a module or not."""
    package = path.relative_to(root).parent.parts
    names: list[str] = []
    for node in _seen_at_run_time(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            inner = [*base, *([node.module] if node.module else [])]
            names += [".".join([*inner, alias.name]) for alias in node.names]
    return names


def _seen_at_run_time(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and _is_for_checkers(node.test):
            for other in node.orelse:
                yield other
                yield from _seen_at_run_time(other)
            continue
        yield node
        yield from _seen_at_run_time(node)


def _is_for_checkers(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _files_of(name: str, root: Path) -> list[Path]:
    """List the files that the import of a name runs: the packages on the way, and the module."""
    parts = name.split(".")
    places = [root.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
    candidates = [file for place in places for file in (place / "__init__.py", place.with_suffix(".py"))]
    return [file for file in candidates if file.is_file()]
