"""The house keeps its floors: datamodules below, models and callbacks above it and apart, tools on top.

Within a floor, no import runs up: a room that another one builds on, however indirectly, does not lean on it in turn.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.sources import ROOT, files, nodes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAY_IMPORT = {
    "configs": set(),
    "datamodules": set(),
    "models": {"datamodules"},
    "callbacks": {"datamodules"},
    "tools": {"callbacks", "configs", "datamodules", "models"},
    "loupe": {"callbacks", "configs", "datamodules", "models", "tools"},
}


def teardown_module() -> None:
    """Let go of what was parsed."""
    nodes.cache_clear()


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a file names in its absolute imports, wherever they stand in it."""
    names: list[str] = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.append(node.module)
    return {name.split(".", 1)[0] for name in names} & set(MAY_IMPORT)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_stay_on_their_floor(room: str) -> None:
    assert files(room), f"no files in {room}: the test looks in the wrong place"
    for path in files(room):
        climbing = imported_rooms(path) - MAY_IMPORT[room] - {room}
        assert not climbing, f"{path.relative_to(ROOT)} imports from {climbing}"


def test_the_check_sees_imports(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("def f():\n    from tools.cli import main\n    import models.base as m\n", encoding="utf-8")
    assert imported_rooms(path) == {"tools", "models"}


COLUMN = (
    "statistics",
    "policies",
    "decisions",
    "defects",
    "inclusions",
    "grains",
    "acceptance",
    "measures",
    "report",
    "tracking",
    "training",
)


def leanings(floor: str) -> dict[str, set[str]]:
    """Which rooms (and files beside them) of a floor each one imports from, by name."""
    found: dict[str, set[str]] = {}
    for path in files(floor):
        parts = path.relative_to(ROOT).parts
        own = parts[1].removesuffix(".py")
        for node in nodes(path):
            if isinstance(node, ast.ImportFrom):
                base = list(parts[:-1])[: len(parts) - node.level] if node.level else []
                target = [*base, *(node.module or "").split(".")] if node.module else base
                names = [target] if len(target) > 1 else [[*target, alias.name] for alias in node.names]
                found.setdefault(own, set()).update(name[1] for name in names if name[0] == floor and name[1] != own)
    return found


def reach(graph: dict[str, set[str]], start: str) -> set[str]:
    """Everything that a room leans on, however indirectly."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph.get(waiting.pop(), set()) - seen
        seen |= new
        waiting += new
    return seen


@pytest.mark.parametrize("floor", ["callbacks", "datamodules", "models", "tools"])
def test_no_import_runs_up(floor: str) -> None:
    graph = leanings(floor)
    assert len(graph) > 3, "the test looks in the wrong place"
    below = {room: reach(graph, room) for room in graph}
    circles = {frozenset({a, b}) for a in below for b in below[a] if a != b and a in below.get(b, ())}
    assert not circles


def files_named_by(path: Path) -> set[Path]:
    """Every file of the house that a file imports from, wherever the import stands in it."""
    found: set[Path] = set()
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom):
            above = path.parents[node.level - 1] if node.level else ROOT
            base = above.joinpath(*(node.module or "").split("."))
            places = [base, *(base / alias.name for alias in node.names)]
            found.update(place.with_suffix(".py") for place in places if place.with_suffix(".py").is_file())
    return found


def test_no_two_files_need_each_other() -> None:
    graph = {str(path): {str(one) for one in files_named_by(path)} for path in files(*MAY_IMPORT)}
    circles = {frozenset({a, b}) for a in graph for b in graph[a] if a != b and a in graph.get(b, ())}
    assert len(graph) > 300, "the test looks in the wrong place"
    assert not circles


def test_callbacks_are_one_column() -> None:
    graph = leanings("callbacks")
    rooms = {path.name for path in (ROOT / "callbacks").iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= set(COLUMN)
    for place, room in enumerate(COLUMN):
        climbing = graph.get(room, set()) & set(COLUMN[place + 1 :])
        assert not climbing, f"callbacks/{room} imports from {climbing}, which lie after it in the column"


def test_the_runner_lies_under_all_that_judge() -> None:
    assert not leanings("tools").get("runner", set())


ASKING = {"isinstance", "issubclass"}


def concrete_models() -> set[str]:
    """Name the classes that configs of models build."""
    configs = (ROOT / "configs" / "model").glob("*.yaml")
    targets = [
        line for path in configs for line in path.read_text(encoding="utf-8").splitlines() if "_target_:" in line
    ]
    return {target.rpartition(".")[2] for target in targets if "models." in target}


def asked_of(nodes: Iterable[ast.AST]) -> set[str]:
    """Name all that ``isinstance`` and ``issubclass`` compare with."""
    calls = (node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))
    asked = [call.args[1] for call in calls if isinstance(call.func, ast.Name) and call.func.id in ASKING]
    return {ast.unparse(node).rpartition(".")[2] for one in asked for node in ast.walk(one) if _is_name(node)}


def _is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Name | ast.Attribute)


def test_models_answer_for_themselves() -> None:
    models = concrete_models()
    assert {"PatchCore", "Layered", "Metallography"} <= models
    for path in files("callbacks", "tools", "loupe"):
        asked = asked_of(nodes(path)) & models
        assert not asked, f"{path.relative_to(ROOT)} asks whether a model is {asked}"
    assert asked_of(ast.walk(ast.parse("isinstance(a, (x.PatchCore, Padim | Dfm))"))) >= {"PatchCore", "Padim", "Dfm"}
