"""Questions to a process that has loaded torch, and what comes back: an answer, or an error that can travel."""

from __future__ import annotations

import importlib
import traceback
from typing import Any, NamedTuple

from datamodules.errors import DataError
from models.errors import WeightsError
from tools.errors import ConfigError

_KINDS = {error.__name__: error for error in (ConfigError, DataError, WeightsError)}


class Question(NamedTuple):
    """A function of a module, and its arguments."""

    module: str
    function: str
    args: tuple[Any, ...]


class Answer(NamedTuple):
    """What a function returned; or the kind of its error and what it said."""

    value: Any = None
    kind: str = ""
    message: str = ""


def answer(question: Question) -> Answer:
    """Call the function."""
    try:
        return Answer(getattr(importlib.import_module(question.module), question.function)(*question.args))
    except tuple(_KINDS.values()) as error:
        kind = next(name for name, known in _KINDS.items() if isinstance(error, known))
        return Answer(None, kind, str(error))
    except Exception:  # noqa: BLE001 - whatever it is, it must reach the one who asked
        return Answer(None, "RuntimeError", traceback.format_exc())


def value_of(found: Answer) -> Any:
    """Return the value of an answer.

    Raises:
        DataError, ConfigError, WeightsError: The function's own.
        RuntimeError: Any other, with its traceback.
    """
    if found.kind:
        raise _KINDS.get(found.kind, RuntimeError)(found.message)
    return found.value


def offers(module: str, function: str) -> bool:
    """Tell whether a module has a function."""
    return hasattr(importlib.import_module(module), function)
