"""The house keeps its floors: datamodules below, models and callbacks above it and apart, tools on top."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "configs": set(),
    "datamodules": set(),
    "models": {"datamodules"},
    "callbacks": {"datamodules"},
    "tools": {"callbacks", "configs", "datamodules", "models"},
}


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a file names in its absolute imports, wherever they stand in it."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.append(node.module)
    return {name.split(".", 1)[0] for name in names} & set(MAY_IMPORT)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_stay_on_their_floor(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files, f"no files in {room}: the test looks in the wrong place"
    for path in files:
        climbing = imported_rooms(path) - MAY_IMPORT[room] - {room}
        assert not climbing, f"{path.relative_to(ROOT)} imports from {climbing}"


def test_the_check_sees_imports(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("def f():\n    from tools.cli import main\n    import models.base as m\n", encoding="utf-8")
    assert imported_rooms(path) == {"tools", "models"}


def test_rooms_are_packaged() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for room in MAY_IMPORT:
        for folder in [ROOT / room, *(ROOT / room).rglob("*/")]:
            if any(folder.glob("*.py")) or any(folder.glob("*.yaml")):
                package = ".".join(folder.relative_to(ROOT).parts)
                assert f'"{package}"' in text, f"{package} is missing in pyproject.toml: the wheel would lack it"
