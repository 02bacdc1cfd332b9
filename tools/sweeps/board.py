"""How far a sweep is: a table that redraws itself in a terminal, a line per trial anywhere else."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, TextIO

from .data_names import place_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .data_names import Place
    from .journal import Trial

_REDRAW_S = 0.2
_AROUND = 3  # lines of a terminal besides those of running trials
_CLEAR = "\033[{}A\033[J"  # up some lines, and clear all below


class Board:
    """Shows running trials, what is done, the best so far, and the time left.

    Args:
        total: Trials at most; None where nobody knows.
        keys: Of a setting, that are worth showing.
        stream: Standard output by default.
    """

    def __init__(self, total: int | None, keys: Sequence[str], stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._redraws = self._stream.isatty()
        self._total = total
        self._keys = keys
        self._running: dict[str, tuple[Mapping[str, str], float]] = {}
        self._known = self._new = self._pruned = self._failed = 0
        self._best: Trial | None = None
        self._places: set[Place] = set()
        self._begun = self._drawn = time.monotonic()
        self._lines = 0
        self._headed = False

    def known(self, trial: Trial) -> None:
        """Note that a trial was done before."""
        self._known += 1
        self._consider(trial)

    def started(self, trial_id: str, setting: Mapping[str, str]) -> None:
        """Note that a trial was handed out."""
        if not self._new and not self._running:
            self._begun = time.monotonic()  # what came before, such as loading torch, says nothing about trials
        self._running[trial_id] = (setting, time.monotonic())
        self._redraw()

    def ended(self, trial: Trial) -> None:
        """Note that a trial has ended."""
        self._running.pop(trial.id, None)
        self._new += 1
        self._pruned += trial.state == "pruned"
        self._failed += trial.state == "failed"
        self._consider(trial)
        if self._redraws:
            self._clear()
        self._head()
        self._put(self._line(trial))
        self._redraw(at_once=True)

    def refresh(self) -> None:
        """Let the clocks of running trials go on."""
        self._redraw()

    def end(self) -> None:
        """Take the table away; what was written stays."""
        if self._redraws:
            self._clear()

    def summary(self) -> str:
        """Say how far it is."""
        done = self._known + self._new
        parts = [f"{done} of {self._total} done" if self._total else f"{done} done"]
        parts += [f"{count} {word}" for count, word in ((self._pruned, "pruned"), (self._failed, "failed")) if count]
        if self._known:
            parts.append(f"{self._known} known before")
        if self._best is not None and len(self._places) == 1:  # of several data sets, no trial is the best
            parts.append(f"best {self._best.objective:.4f} ({self._best.id})")
        if left := self._seconds_left():
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts)

    def _seconds_left(self) -> float | None:
        if not self._new or self._total is None or self._total <= self._known + self._new:
            return None
        pace = (time.monotonic() - self._begun) / self._new
        return pace * (self._total - self._known - self._new)

    def _consider(self, trial: Trial) -> None:
        self._places.add(place_of(trial))
        if (
            trial.state == "complete"
            and trial.objective is not None
            and (self._best is None or trial.objective > (self._best.objective or 0))
        ):
            self._best = trial

    def _line(self, trial: Trial) -> str:
        found = "" if trial.objective is None else f"{trial.objective:.4f}"
        words = {"complete": found, "pruned": f"pruned {found}", "failed": "FAILED"}
        done = self._known + self._new
        place = f"{done}/{self._total}" if self._total else f"{done}"
        return row(place, trial.id, words[trial.state], duration(trial.seconds), describe(trial.setting, self._keys))

    def _redraw(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if not self._redraws or (not at_once and now - self._drawn < _REDRAW_S):
            return
        self._clear()
        self._drawn = now
        lines = [
            row("running", name, "", duration(now - since), describe(setting, self._keys))
            for name, (setting, since) in self._running.items()
        ]
        width, height = shutil.get_terminal_size()
        room = max(1, height - _AROUND)  # what scrolled out of sight cannot be cleared
        if len(lines) > room:
            lines[room - 1 :] = [row(f"{len(lines) - room + 1} more", "", "", "", "")]
        self._head()
        for line in [*lines, self.summary()]:
            self._put(line[: width - 1])
        self._lines = len(lines) + 1

    def _head(self) -> None:
        """Name the columns, once."""
        if not self._headed:
            self._put(row("", "trial", "objective", "time", "setting"))
        self._headed = True

    def _clear(self) -> None:
        if self._lines:
            self._stream.write(_CLEAR.format(self._lines))
            self._lines = 0

    def _put(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()


def row(place: str, name: str, found: str, time_taken: str, setting: str) -> str:
    """Write one line of the table."""
    return f"{place:>9}  {name:<12}  {found:<13}  {time_taken:>11}  {setting}".rstrip()


def describe(setting: Mapping[str, str], keys: Sequence[str]) -> str:
    """Write some keys of a setting on one line."""
    return " ".join(f"{key}={setting[key]}" for key in keys if key in setting)


def duration(seconds: float) -> str:
    """Write a time as a person says it: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
