"""The annotations of a constructor, all of them: also those whose names a module imports for type checkers alone."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import types
import typing
from functools import cache
from typing import Any

WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a word",
    type(None): "null",
    Any: "anything",
}


def annotations_of(target: type) -> dict[str, Any]:
    """Read what a constructor expects, by parameter; of those that a class inherits, where they were written.

    Raises:
        NameError: An annotation names what its module does not import anywhere.
    """
    owner = next(base for base in target.__mro__ if "__init__" in vars(base))
    function = vars(owner)["__init__"]
    if not _written_by_dataclass(function):
        return _read(getattr(function, "__annotations__", {}), getattr(function, "__module__", target.__module__))
    found: dict[str, Any] = {}
    for base in reversed(owner.__mro__):
        found |= _read(inspect.get_annotations(base), base.__module__)
    return {name: value for name, value in found.items() if name in inspect.signature(target).parameters}


def in_words(annotation: Any) -> str:
    """Say what an annotation asks for, as a person would who has never seen Python."""
    if annotation in WORDS:
        return WORDS[annotation]
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return _either([str(arg) for arg in args])
    if origin in {typing.Union, types.UnionType}:
        return _either([in_words(arg) for arg in args])
    if origin is tuple and args and args[-1] is not Ellipsis:
        return f"a list of {len(args)}: {', '.join(in_words(arg) for arg in args)}"
    if origin is not None:
        return _collection(origin, args)
    return f"a {getattr(annotation, '__name__', annotation)}, as keys beside a _target_"


def _collection(origin: Any, args: tuple[Any, ...]) -> str:
    if issubclass(origin, _GROUPS):
        return "keys with values"
    each = f", each {in_words(args[0])}" if args and args[0] is not Any else ""
    return f"a list{each}" if issubclass(origin, _LISTS) else f"a {origin.__name__}"


def takes_words(annotation: Any) -> bool:
    """Tell whether numbers given for it are meant as words: text is asked for, and no number would do."""
    args = typing.get_args(annotation)
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        kinds = [arg for arg in args if arg is not type(None)]
        return bool(kinds) and all(takes_words(kind) for kind in kinds)
    return annotation is str


def items_of(annotation: Any) -> Any:
    """Tell what each item of a list is asked to be; None where no list is."""
    for kind in typing.get_args(annotation) if typing.get_origin(annotation) in _UNIONS else (annotation,):
        origin, args = typing.get_origin(kind), typing.get_args(kind)
        if origin is not None and isinstance(origin, type) and issubclass(origin, _LISTS) and args:
            return args[0]
    return None


def _written_by_dataclass(function: Any) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and code.co_filename == "<string>"


_UNIONS = (typing.Union, types.UnionType)
_ABC = importlib.import_module("collections.abc")
_LISTS = (_ABC.Sequence, _ABC.Set, _ABC.Iterable)
_GROUPS = (_ABC.Mapping,)


def _either(choices: list[str]) -> str:
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"


def _read(annotations: dict[str, Any], module: str) -> dict[str, Any]:
    holder = types.new_class("Holder")
    holder.__annotations__ = {name: value for name, value in annotations.items() if name != "return"}
    return typing.get_type_hints(holder, globalns=_names(module))


@cache
def _names(module: str) -> dict[str, Any]:
    """Return every name that a module can see, and those that only its type checker would."""
    loaded = sys.modules.get(module) or importlib.import_module(module)
    names = dict(vars(loaded))
    try:
        tree = ast.parse(inspect.getsource(loaded))
    except (OSError, TypeError):  # typed in, or compiled: there is no more to see
        return names
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for line in node.body:
                names = _imported(line, loaded.__package__ or "") | names
    return names


def _imported(line: ast.stmt, package: str) -> dict[str, Any]:
    """Import what a line imports."""
    if isinstance(line, ast.Import):
        return {
            alias.asname or alias.name.partition(".")[0]: importlib.import_module(
                alias.name if alias.asname else alias.name.partition(".")[0]
            )
            for alias in line.names
        }
    if isinstance(line, ast.ImportFrom):
        origin = importlib.import_module("." * line.level + (line.module or ""), package)
        return {alias.asname or alias.name: _member(origin, alias.name) for alias in line.names}
    return {}


def _member(origin: types.ModuleType, name: str) -> Any:
    return getattr(origin, name) if hasattr(origin, name) else importlib.import_module(f"{origin.__name__}.{name}")
