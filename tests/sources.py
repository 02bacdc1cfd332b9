"""The sources of the product, each parsed once for all tests that read them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return everything that a file says, as ``ast.walk`` finds it."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@cache
def files(*rooms: str) -> tuple[Path, ...]:
    """List the sources of rooms, in order."""
    return tuple(path for room in rooms for path in sorted((ROOT / room).rglob("*.py")))
