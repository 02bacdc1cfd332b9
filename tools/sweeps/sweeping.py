"""The heavy half of ``loupe sweep``: run the plan, then write the leaderboard, the pages and TensorBoard's table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from datamodules.progress import working
from tools.signals import keeping_note

from .board import Board
from .journal import Journal, read_trials
from .leaderboard import Leaderboard, best_trial
from .planner import Planner
from .search import make_search
from .settings import Composer

if TYPE_CHECKING:
    from pathlib import Path

    from .plan import Plan

BOARD, PAGE = "leaderboard.csv", "index.html"
SHOWN = 10


def sweep(plan: Plan) -> Path:
    """Run a sweep; return its folder.

    Raises:
        ConfigError: The plan cannot be carried out.
        DataError: Some data cannot be used.
    """
    composer = Composer(plan.axes, plan.base)  # this, and counting, refuse mistakes before there is a folder
    total = most_trials(plan, composer)
    with Journal(plan.folder) as journal:
        board = Board(total, [axis.key for axis in plan.axes if not axis.fixed])
        planner = Planner(plan, composer, journal, board)
        print(f"Sweep {plan.folder}")
        try:
            with keeping_note(lambda: f"finished trials are kept; go on with: loupe sweep resume {plan.folder}"):
                planner.run()
        finally:
            write_leaderboard(plan.folder)  # also of what an interrupt leaves
        ranked = Leaderboard.of(journal.trials.values())
        print(f"\n{ranked.text(SHOWN)}\n")
        if any(trial.result.get("metrics") for trial in ranked.trials):
            write_pages(planner, ranked)
    return plan.folder


def most_trials(plan: Plan, composer: Composer) -> int | None:
    """Count the trials that a plan comes to at most; None where only time limits them."""
    if plan.config.search != "grid":
        return plan.trials
    search = make_search("grid", composer, 0)
    count = 0
    while search.ask() is not None:
        count += 1
    return count if plan.trials is None else min(count, plan.trials)


def write_leaderboard(folder: Path) -> None:
    """Write leaderboard.csv."""
    _write(folder / BOARD, Leaderboard.of(read_trials(folder).values()).csv())


def write_pages(planner: Planner, ranked: Leaderboard) -> None:
    """Write the page of the best trial, the sweep's own, and TensorBoard's table."""
    from callbacks.report.sweep_page import render_sweep  # noqa: PLC0415 - after the trials: these take seconds to load

    from .events import gather_events  # noqa: PLC0415
    from .page import page_content  # noqa: PLC0415

    folder = planner.plan.folder
    with working("writing the report"):
        if planner.plan.config.report == "best" and any(trial.objective is not None for trial in ranked.trials):
            planner.write_page(best_trial(ranked.trials))
        gather_events(ranked, folder)
        _write(folder / PAGE, render_sweep(page_content(ranked, folder)))
    print(f"Leaderboard {folder / BOARD}")
    print(f"Report {folder / PAGE}")


def _write(path: Path, text: str) -> None:
    """Write a file so that it is either whole or absent."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
