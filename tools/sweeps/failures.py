"""Why trials failed: one sentence for each cause, with how many it took down."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from datamodules.errors import DataError
from models.errors import DivergedError, WeightsError
from tools.errors import ConfigError
from tools.mishaps import explain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .journal import Trial

IN_WORDS = (ConfigError, DataError, DivergedError, WeightsError)
"""Errors whose message says all that a person needs."""
_VARIES = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?|0x[0-9a-f]+|[0-9a-f]{12}")  # what differs where the cause does not


class Cause(NamedTuple):
    """Why trials failed, in the words of the first; how many; and the first one's id."""

    sentence: str
    trials: int
    first: str


def cause_of(error: BaseException) -> str:
    """Say in one line why something failed; an error that was not foreseen names its kind."""
    words = " ".join((explain(error) or str(error)).split())
    if isinstance(error, IN_WORDS) or explain(error) is not None:
        return words
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def causes(trials: Iterable[Trial]) -> list[Cause]:
    """Gather the causes of all failed trials, the most frequent first; numbers do not make another cause."""
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.state == "failed":
            groups[_VARIES.sub("#", reason(trial))].append(trial)
    found = [Cause(reason(group[0]), len(group), group[0].id) for group in groups.values()]
    return sorted(found, key=lambda cause: -cause.trials)


def failure_lines(trials: Iterable[Trial], folder: Path) -> list[str]:
    """Write a line for every cause of failures in a sweep's folder: how many, why, and where to read on."""
    logs = folder / "logs"
    return [f"{cause.trials} failed: {cause.sentence} ({logs / cause.first}.txt)" for cause in causes(trials)]


def reason(trial: Trial) -> str:
    """Say why a trial failed; of a journal that knows no causes yet, the last line of its traceback."""
    lines = [line.strip() for line in trial.error.splitlines() if line.strip()]
    return trial.cause or (lines[-1] if lines else "no reason is known")


def add_to_log(path: str | Path, words: str) -> None:
    """Write to a trial's log what the trial itself could not: how its process died, or why it never began."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(f"{words.rstrip()}\n")
