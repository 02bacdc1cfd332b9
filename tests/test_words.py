"""One word for one thing, in plain English: what a stranger cannot guess stays out of names and texts."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("callbacks", "datamodules", "loupe", "models", "tools")
NAMES = re.compile(r"(^|_)(look|looks|door)(_|$)|Look|Door")  # predict, survey, inspect; run_verb
THIRD_PERSON = re.compile(r"(Refuses|Chooses|Checks|Counts|Renders|Adds|Returns|Computes|Writes|Reads|Makes|Finds)\b")
CLUMSY = re.compile(r"\b(is|are) no (numbers?|text|picture|image|JSON|measure|folder|file of)\b")


def trees() -> list[tuple[str, ast.Module]]:
    """Every file of the product, parsed."""
    files = [path for floor in FLOORS for path in (ROOT / floor).rglob("*.py")]
    return [(str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))) for path in files]


def strange_names(tree: ast.AST) -> list[str]:
    """Names of functions and classes that a stranger cannot guess."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node.name for node in ast.walk(tree) if isinstance(node, kinds) and NAMES.search(node.name)]


def not_imperative(tree: ast.AST) -> list[str]:
    """Functions whose docstring tells what they do instead of what to do."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, kinds) and THIRD_PERSON.match(ast.get_docstring(node) or "")
    ]


def clumsy(tree: ast.AST) -> list[str]:
    """Texts that say ``is no`` where ``is not a`` is English."""
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return [
        found[0] for text in texts for found in CLUMSY.finditer(text) if not text[: found.start()].endswith("here ")
    ]


@pytest.mark.parametrize("check", [strange_names, not_imperative, clumsy])
def test_words(check: object) -> None:
    assert callable(check)
    files = trees()
    assert len(files) > 300, "the test looks in the wrong place"
    assert {path: found for path, tree in files if (found := check(tree))} == {}


def test_the_checks_see_what_they_look_for() -> None:
    tree = ast.parse('def look_at():\n    """Refuses what is no number; there is no text."""\n')
    assert (strange_names(tree), not_imperative(tree), clumsy(tree)) == (["look_at"], ["look_at"], ["is no number"])
