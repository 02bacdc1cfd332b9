"""One word for one thing, in plain English: what a stranger cannot guess stays out of names and texts."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.sources import ROOT, files, nodes

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def teardown_module() -> None:
    """Let go of what was parsed."""
    nodes.cache_clear()


def sources() -> list[tuple[str, Iterable[ast.AST]]]:
    """Return every file of the product, and all that it says."""
    return [(str(path.relative_to(ROOT)), nodes(path)) for path in files(*FLOORS)]


def strange_names(syntax: Iterable[ast.AST]) -> list[str]:
    """Names of functions, classes, arguments, variables and attributes that a stranger cannot guess."""
    names = (name_of(node) for node in syntax)
    return [name for name in names if (NAMES.search(name) or CONSTANTS.search(name)) and name not in GUESSABLE]


def pictured_names(syntax: Iterable[ast.AST]) -> list[str]:
    """Names that call an image a picture, but for those that configs know."""
    names = (name_of(node) for node in syntax)
    return [name for name in names if PICTURED.search(name) and name not in PUBLIC]


def swept_names(syntax: Iterable[ast.AST]) -> list[str]:
    """Names with sweep for anything but an experiment over many settings, of which tools alone know."""
    return [name for node in syntax if "sweep" in (name := name_of(node)).lower()]


def pictured_docstrings(syntax: Iterable[ast.AST]) -> list[str]:
    """Docstrings that call an image a picture, which is the word of pages and messages for people who inspect."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = (ast.get_docstring(node) or "" for node in syntax if isinstance(node, kinds))
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


def not_imperative(syntax: Iterable[ast.AST]) -> list[str]:
    """Functions whose docstring tells what they do instead of what to do."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        node.name
        for node in syntax
        if isinstance(node, kinds) and not is_property(node) and THIRD_PERSON.match(ast.get_docstring(node) or "")
    ]


def is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a method is read as an attribute, whose docstring says what it is."""
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def clumsy(syntax: Iterable[ast.AST]) -> list[str]:
    """Texts that say ``is no`` where ``is not a`` is English."""
    texts = (node.value for node in syntax if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return [
        found[0] for text in texts for found in CLUMSY.finditer(text) if not text[: found.start()].endswith("here ")
    ]


def parsed(code: str) -> list[ast.AST]:
    """Return everything that a text of code says."""
    return list(ast.walk(ast.parse(code)))


@pytest.mark.parametrize("check", [strange_names, pictured_names, pictured_docstrings, not_imperative, clumsy])
def test_words(check: object) -> None:
    assert callable(check)
    every = sources()
    assert len(every) > 300, "the test looks in the wrong place"
    found = {path: names for path, syntax in every if (names := check(syntax))}
    known = {OF_EPOCHS: ["pictures", "pictures"]} if check is pictured_names else {}
    assert found == known


def test_files_are_named_by_words_that_a_stranger_can_guess() -> None:
    stems = [path.removesuffix(".py") for path, _ in sources()]
    names = {
        f"{stem}.py" for stem in stems if any(NAMES.search(part) or PICTURED.search(part) for part in stem.split("/"))
    }
    assert names == {OF_EPOCHS}


def test_a_sweep_is_an_experiment() -> None:
    """Thresholds are not swept in names, though their table keeps the file name that other programs read."""
    rooms = [(path, syntax) for path, syntax in sources() if not path.startswith(("tools/", "callbacks/report/sweep_"))]
    assert {path: found for path, syntax in rooms if (found := swept_names(syntax))} == {}
    assert swept_names(parsed("def f(sweep): ...\nSweeps = 1\n")) == ["Sweeps", "sweep"]


def test_the_checks_see_what_they_look_for() -> None:
    code = (
        'def look_at(said):\n    """Refuses what is no number; there is no text."""\n    a.door = kept_N = LEAST = 1\n'
    )
    syntax = parsed(code)
    assert sorted(strange_names(syntax)) == ["LEAST", "door", "kept_N", "look_at", "said"]
    assert strange_names(parsed("showcase = leased = kept_epoch = Casement = 1")) == []
    code = "class Pictures:\n    def image_of_picture(self, picture_HW): ...\n"
    assert pictured_names(parsed(code)) == ["Pictures", "image_of_picture", "picture_HW"]
    assert pictured_docstrings(parsed('"""A picture of ``pictures``, in docs/pictures."""')) == [
        "A picture of ``pictures``, in docs/pictures."
    ]
    assert pictured_docstrings(parsed('"""Images for ``pictures=``, in docs/pictures."""')) == []
    assert (not_imperative(syntax), clumsy(syntax)) == (["look_at"], ["is no number"])
