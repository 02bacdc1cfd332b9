"""The sweep's page while it runs: there from the first trial that ended on, and it renews itself in a browser."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .files import write
from .leaderboard import Leaderboard

if TYPE_CHECKING:
    from pathlib import Path

    from .journal import Journal

EVERY_S = 5  # between two versions of the page
_COST = 20  # times as long as writing one took: at most a twentieth of the planner's time goes there


class LivePage:
    """Writes the page of a sweep that runs.

    Args:
        journal: Of the sweep.
        path: Of the page.
    """

    def __init__(self, journal: Journal, path: Path) -> None:
        self._journal, self._path = journal, path
        self._due = 0.0

    def show(self) -> None:
        """Write the page, unless that was done a moment ago."""
        began = time.monotonic()
        if began < self._due:
            return
        from callbacks.report.sweep_page import render_sweep  # noqa: PLC0415 - a tenth of a second, once it is needed

        from .page import page_content  # noqa: PLC0415

        board = Leaderboard.of(self._journal.trials.values())
        write(self._path, render_sweep(page_content(board, self._path.parent, refresh_s=EVERY_S)))
        ended = time.monotonic()
        self._due = ended + max(EVERY_S, _COST * (ended - began))
