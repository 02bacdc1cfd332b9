"""One word for one thing, in plain English: what a stranger cannot guess stays out of names and texts."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("callbacks", "datamodules", "loupe", "models", "tools")
NAMES = re.compile(
    r"(^|_)(look|looks|looked|door|said|told|kept|least|case|cases)(_|$)|(Look|Door|Said|Told|Kept|Least|Case)(?![a-z])",
    re.ASCII,
)  # predict, survey, inspect; verb; reason; stored, chosen; smallest, minimum; image
CONSTANTS = re.compile(r"(^|_)(LOOK|LOOKED|DOOR|SAID|TOLD|KEPT|LEAST|CASE|CASES)(_|$)")
GUESSABLE = {"kept_epoch"}  # the epoch whose network is used, as metrics.json names it
THIRD_PERSON = re.compile(r"[A-Z][a-z]*[^s\W]s\b")  # "Refuses", not "Refuse" or "Compress"
PICTURED = re.compile(r"(^|_)pictures?(_|$)|Picture")
PUBLIC = {"EpochPictures", "penalty_pictures"}  # as configs name them
OF_EPOCHS = "callbacks/training/epoch_pictures.py"  # whose ``pictures`` a config names, too
PICTURE = re.compile(r"(?<![\w/.=`'\"-])[Pp]ictures?(?![\w=/`:]|\.\w)")  # but for keys, names and paths
CLUMSY = re.compile(r"\b(is|are) no (numbers?|text|picture|image|JSON|measure|folder|file of)\b")


@cache
def trees() -> list[tuple[str, ast.Module]]:
    """Every file of the product, parsed."""
    files = [path for floor in FLOORS for path in (ROOT / floor).rglob("*.py")]
    return [(str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))) for path in files]


def strange_names(tree: ast.AST) -> list[str]:
    """Names of functions, classes, arguments, variables and attributes that a stranger cannot guess."""
    names = (name_of(node) for node in ast.walk(tree))
    return [name for name in names if (NAMES.search(name) or CONSTANTS.search(name)) and name not in GUESSABLE]


def pictured_names(tree: ast.AST) -> list[str]:
    """Names that call an image a picture, but for those that configs know."""
    names = (name_of(node) for node in ast.walk(tree))
    return [name for name in names if PICTURED.search(name) and name not in PUBLIC]


def swept_names(tree: ast.AST) -> list[str]:
    """Names with sweep for anything but an experiment over many settings, of which tools alone know."""
    return [name for node in ast.walk(tree) if "sweep" in (name := name_of(node)).lower()]


def pictured_docstrings(tree: ast.AST) -> list[str]:
    """Docstrings that call an image a picture, which is the word of pages and messages for people who inspect."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = (ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, kinds))
    return [text.splitlines()[0] for text in texts if PICTURE.search(text)]


def name_of(node: ast.AST) -> str:
    """What a node gives a name to; empty where it names nothing new."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
        return node.id if isinstance(node, ast.Name) else node.attr
    return ""


def not_imperative(tree: ast.AST) -> list[str]:
    """Functions whose docstring tells what they do instead of what to do."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, kinds) and not is_property(node) and THIRD_PERSON.match(ast.get_docstring(node) or "")
    ]


def is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a method is read as an attribute, whose docstring says what it is."""
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def clumsy(tree: ast.AST) -> list[str]:
    """Texts that say ``is no`` where ``is not a`` is English."""
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return [
        found[0] for text in texts for found in CLUMSY.finditer(text) if not text[: found.start()].endswith("here ")
    ]


@pytest.mark.parametrize("check", [strange_names, pictured_names, pictured_docstrings, not_imperative, clumsy])
def test_words(check: object) -> None:
    assert callable(check)
    files = trees()
    assert len(files) > 300, "the test looks in the wrong place"
    found = {path: names for path, tree in files if (names := check(tree))}
    known = {OF_EPOCHS: ["pictures", "pictures"]} if check is pictured_names else {}
    assert found == known


def test_files_are_named_by_words_that_a_stranger_can_guess() -> None:
    stems = [path.removesuffix(".py") for path, _ in trees()]
    names = {
        f"{stem}.py" for stem in stems if any(NAMES.search(part) or PICTURED.search(part) for part in stem.split("/"))
    }
    assert names == {OF_EPOCHS}


def test_a_sweep_is_an_experiment() -> None:
    """Thresholds are not swept in names, though their table keeps the file name that other programs read."""
    rooms = [(path, tree) for path, tree in trees() if not path.startswith(("tools/", "callbacks/report/sweep_"))]
    assert {path: found for path, tree in rooms if (found := swept_names(tree))} == {}
    assert swept_names(ast.parse("def f(sweep): ...\nSweeps = 1\n")) == ["Sweeps", "sweep"]


def test_the_checks_see_what_they_look_for() -> None:
    code = (
        'def look_at(said):\n    """Refuses what is no number; there is no text."""\n    a.door = kept_N = LEAST = 1\n'
    )
    tree = ast.parse(code)
    assert sorted(strange_names(tree)) == ["LEAST", "door", "kept_N", "look_at", "said"]
    assert strange_names(ast.parse("showcase = leased = kept_epoch = Casement = 1")) == []
    code = "class Pictures:\n    def image_of_picture(self, picture_HW): ...\n"
    assert pictured_names(ast.parse(code)) == ["Pictures", "image_of_picture", "picture_HW"]
    assert pictured_docstrings(ast.parse('"""A picture of ``pictures``, in docs/pictures."""')) == [
        "A picture of ``pictures``, in docs/pictures."
    ]
    assert pictured_docstrings(ast.parse('"""Images for ``pictures=``, in docs/pictures."""')) == []
    assert (not_imperative(tree), clumsy(tree)) == (["look_at"], ["is no number"])
