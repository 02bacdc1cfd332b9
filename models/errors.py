"""What can be wrong with a model's ingredients, said so that it can be mended."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECTION = ContextVar("section", default="backbone")


@contextmanager
def keys_under(section: str) -> Iterator[None]:
    """Let errors about weights name the keys of ``section``, such as ``model.teacher``, instead of ``backbone``."""
    before = _SECTION.set(section)
    try:
        yield
    finally:
        _SECTION.reset(before)


def key(name: str) -> str:
    """Name a key of the section that is being built, as the user writes it."""
    return f"{_SECTION.get()}.{name}"


class WeightsError(ValueError):
    """Weights are missing or do not fit. The message lists the ways out."""


class UntrainedError(RuntimeError):
    """A model is asked to judge before it has learnt anything. The message says how it comes to know something."""


class DivergedError(ValueError):
    """Training ran away: a loss is not a number any more. The message says what calms it."""
