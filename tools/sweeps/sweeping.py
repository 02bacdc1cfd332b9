"""From a plan to its end: run it, measure the finalists, then write leaderboard, pages and TensorBoard's table."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from tools.errors import FailedTrialsError
from tools.runs.run_files import REPORT
from tools.signals import keeping_note

from .board import Board
from .failures import failure_lines
from .files import write
from .impossible import compose_branches
from .journal import JOURNAL, Journal
from .leaderboard import Leaderboard
from .live import LivePage
from .planner import Planner
from .ranking import finalists, winners
from .settings import Composer
from .tasks import TRIALS, later_task
from .territory import Territory

if TYPE_CHECKING:
    from pathlib import Path

    from .plan import Plan

BOARD, PAGE, TENSORBOARD = "leaderboard.csv", "index.html", "tensorboard"
SHOWN = 10
_MOST_BRANCHES = 16  # choices of groups for which the settings of a search are counted before it begins


def sweep(plan: Plan) -> Path:
    """Run a sweep; return its folder.

    Raises:
        ConfigError: The plan cannot be carried out.
        DataError: Some data cannot be used.
        FailedTrialsError: It went through, but some of its trials failed, and the plan does not take that.
    """
    composer = Composer(plan.axes, plan.base, plan.pairs)  # refuses mistakes before there is a folder
    compose_branches(composer)
    total = most_trials(plan, composer)
    with Journal(plan.folder) as journal:
        board = Board(total, [axis.key for axis in plan.axes if not axis.fixed])
        live = LivePage(journal, plan.folder / PAGE)
        planner = Planner(plan, composer, journal, board, live.show)
        print(f"Sweep {plan.folder}")
        with closing(planner):
            try:
                with keeping_note(lambda: f"finished trials are kept; go on with: loupe sweep resume {plan.folder}"):
                    planner.run()
            finally:
                if journal.trials:
                    write_leaderboard(journal, plan.folder)  # also of what an interrupt leaves
            finish(planner)
        mine = [trial for name in planner.visited if (trial := journal.trials.get(name)) is not None]
        failed = [trial for trial in mine if trial.state == "failed"]
    if failed and plan.failures == "error":
        raise FailedTrialsError(
            f"{len(failed)} of {len(mine)} trials failed; 'loupe sweep resume {plan.folder}' tries them "
            "again, and failures=ok takes them as they are."
        )
    return plan.folder


def most_trials(plan: Plan, composer: Composer) -> int | None:
    """Count the trials that a plan comes to at most; None where only time limits them."""
    counts = [plan.trials]
    few = 1
    for axis in composer.deciding:
        few *= len(axis.choices)
    if plan.config.search == "grid" or few <= _MOST_BRANCHES:
        counts.append(Territory(composer).size)
    known = [count for count in counts if count is not None]
    return min(known) if known else None


def finish(planner: Planner) -> None:
    """Say how it went, and write all that is read afterwards; where nothing is new, only what is missing."""
    planner.board.end()
    journal, folder = planner.journal, planner.plan.folder
    measure_finalists(planner)
    ranked = Leaderboard.of(journal.trials.values())
    write_leaderboard(journal, folder)
    print(f"\n{ranked.text(SHOWN)}\n")
    for line in [
        *ranked.remarks(),
        *failure_lines(ranked.trials, folder),
        *filter(None, [planner.reason, planner.halt]),
    ]:
        print(line)
    write_pages(planner, ranked)
    print(f"Leaderboard {folder / BOARD}")
    print(f"Report {folder / PAGE}")


def measure_finalists(planner: Planner) -> None:
    """Time the models among which time decides, now that nothing else runs; all of them anew where one is new."""
    journal, plan = planner.journal, planner.plan
    found = [trial for trial in finalists(journal.trials.values()) if (plan.folder / TRIALS / trial.id).is_dir()]
    if all(trial.milliseconds_alone is not None for trial in found):
        return
    tasks = [later_task(plan, trial.id, planner.threads, "time") for trial in found]
    for trial, (fastest, middle) in zip(found, planner.errand("measure", tasks), strict=False):
        journal.note_measured(trial.id, fastest, middle)


def write_leaderboard(journal: Journal, folder: Path) -> None:
    """Write leaderboard.csv."""
    write(folder / BOARD, Leaderboard.of(journal.trials.values()).csv())


def write_pages(planner: Planner, ranked: Leaderboard) -> None:
    """Write the pages of the best trials, the sweep's own, and TensorBoard's table."""
    plan, folder = planner.plan, planner.plan.folder
    tested_again = False
    if plan.config.report == "best":
        for trial in winners(ranked.trials):
            run = folder / TRIALS / trial.id
            if run.is_dir() and not (run / REPORT).is_file():
                planner.errand("write_page", later_task(plan, trial.id, planner.threads, "page"))
                tested_again = True
    measured = any(trial.result.get("metrics") for trial in ranked.trials)
    if measured and (tested_again or planner.ended or not (folder / TENSORBOARD).is_dir()):
        planner.errand("write_board", ranked, str(folder))
    page = folder / PAGE
    if page.is_file() and page.stat().st_mtime_ns >= (folder / JOURNAL).stat().st_mtime_ns and not planner.ended:
        return  # it shows all that there is
    from callbacks.report.sweep_page import render_sweep  # noqa: PLC0415 - a tenth of a second

    from .page import page_content  # noqa: PLC0415

    write(page, render_sweep(page_content(ranked, folder, reason=planner.journal.exhausted)))
