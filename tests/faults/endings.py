"""How a fault ends: in a status and a sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Ending = tuple[int, str]
"""Exit status, and what was said on standard error."""
Loupe = Callable[[Sequence[str]], Ending]
"""Runs a command within this process."""


def assert_refused(ending: Ending, *words: str) -> None:
    """Hold an end to what every fault ends in: status 1 or 2, one sentence at last, and no traceback."""
    status, said = ending
    assert status in {1, 2}, said
    assert "Traceback" not in said
    last = said.strip().splitlines()[-1]
    assert last.startswith("loupe ")
    for word in words:
        assert word in said, said
