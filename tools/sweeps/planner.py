"""The planner of a sweep: asks the search, names the trials, hands out those that are new, and notes what they find."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import time
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from datamodules.progress import working

from .executors import make_executor
from .identity import trial_id
from .journal import Journal, Trial
from .perform import logged
from .pruning import Pruning
from .search import make_search
from .task import Task

if TYPE_CHECKING:
    from .board import Board
    from .plan import Plan
    from .search import Suggestion
    from .settings import Composer, Setting
    from .task import Executor, Outcome, TrialModule

TRIALS, LOGS, SHARED = "trials", "logs", "shared"
_REPEATS = 50  # suggestions in a row that were tried already: there is nothing left to find


class _Running(NamedTuple):
    suggestion: Suggestion
    task: Task
    data: str


class Planner:
    """Runs a plan.

    Args:
        plan: What to do.
        composer: Of its axes.
        journal: Open, of the plan's folder.
        board: Shows how far it is.
    """

    def __init__(self, plan: Plan, composer: Composer, journal: Journal, board: Board) -> None:
        self.plan, self.journal, self.board = plan, journal, board
        self.composer = composer
        self.search = make_search(plan.config.search, self.composer, plan.config.seed)
        self.pruning = None if plan.config.prune == "none" else Pruning(plan.config.prune)
        self.visited: set[str] = set()
        self.retried: set[str] = set()
        self._running: dict[str, _Running] = {}
        self._data: dict[str, str] = {}
        self._threads = 1

    @cached_property
    def module(self) -> TrialModule:
        """What runs a trial; loaded late, since workers load it at the same time."""
        with working("loading torch and anomalib"):
            return cast("TrialModule", importlib.import_module(self.plan.config.trial))

    def run(self) -> list[str]:
        """Run every trial that is new, within the budget; return the ids of all trials of this plan."""
        self.journal.note_plan(list(self.plan.args), importlib.metadata.version("loupe-inspect"))
        mine = [trial for trial in self.journal.trials.values() if self._belongs(trial)]
        learned = self.search.learn(mine)
        if learned:
            self.visited |= {trial.id for trial in mine if trial.state != "failed"}
        if self.pruning is not None:
            self.pruning.learn(self.journal.trials.values())
        judge = None if self.pruning is None else self.pruning.judge
        executor, self._threads = make_executor(self.plan.config, judge)
        try:
            self._loop(executor)
        finally:
            executor.close()
            self.board.end()
        return sorted(self.visited)

    def _loop(self, executor: Executor) -> None:
        """Hand out and collect, with no barrier: a place that falls free is filled at once."""
        minutes = self.plan.config.minutes
        deadline = float("inf") if minutes is None else time.monotonic() + 60 * minutes
        ahead = self.plan.config.search == "grid"  # a search should know all that it can when it is asked
        ready: _Running | None = None
        more = True
        while True:
            more = more and time.monotonic() < deadline
            if more and ready is None and (ahead or executor.free):
                ready = self._next()
                more = ready is not None
            if more and ready is not None and executor.free:
                self._start(executor, ready)
                ready = None
            elif self._running:
                for outcome in executor.wait():
                    self._collect(executor, outcome)
                self.board.refresh()
            else:
                return

    def _next(self) -> _Running | None:
        """Prepare the next trial that is new; None where there is none within the budget."""
        repeats = 0
        while repeats < _REPEATS and (self.plan.trials is None or len(self.visited) < self.plan.trials):
            suggestion = self.search.ask()
            if suggestion is None:
                return None
            config, name, data = self._describe(suggestion.setting)
            known = self.journal.trials.get(name)
            if name in self.visited:
                repeats += 1
                self.search.tell(suggestion, None)
            elif known is not None and known.state != "failed":
                self.visited.add(name)
                self.journal.note_setting(name, suggestion.setting)
                self.search.tell(suggestion, known)
                self.board.known(known)
            else:
                self.visited.add(name)
                return _Running(suggestion, self.task(config, name, suggestion.setting), data)
        return None

    def _start(self, executor: Executor, running: _Running) -> None:
        task = running.task
        self._running[task.id] = running
        if self.pruning is not None and task.id not in self.retried:
            self.pruning.start(task.id, running.data)
        self.journal.note_start(task.id, running.suggestion.setting)
        self.board.started(task.id, running.suggestion.setting)
        executor.submit(task)

    def _collect(self, executor: Executor, outcome: Outcome) -> None:
        """Note what became of a trial; give one that ran out of memory a second chance, with half the batch."""
        running = self._running.pop(outcome.id)
        task = running.task
        batch_size = int(task.config.get("data", {}).get("batch_size", 1))
        if outcome.state == "memory" and outcome.id not in self.retried and batch_size > 1:
            self.retried.add(outcome.id)
            config = json.loads(json.dumps(task.config))
            config["data"]["batch_size"] = batch_size // 2
            self._start(executor, running._replace(task=replace(task, config=config)))
            return
        trial = Trial(
            id=outcome.id,
            state="failed" if outcome.state == "memory" else outcome.state,
            setting=running.suggestion.setting,
            data=running.data,
            result=outcome.result,
            values=outcome.values,
            seconds=round(outcome.seconds, 3),
            error=outcome.error,
            batch_size=batch_size if outcome.id in self.retried else None,
        )
        self.journal.note_end(trial)
        self.search.tell(running.suggestion, trial)
        if self.pruning is not None:
            self.pruning.end(trial)
        self.board.ended(trial)

    def _describe(self, setting: Setting) -> tuple[dict[str, Any], str, str]:
        """Compose a setting; return its config, the trial's id and the hash of its data."""
        config = self.composer.config(setting)
        data = self._data_of(config)
        return config, trial_id(config, data), data

    def _data_of(self, config: dict[str, Any]) -> str:
        """Hash the data of a config, once for each."""
        about = json.dumps(config["data"], sort_keys=True)
        if about not in self._data:
            self._data[about] = self.module.data_identity(config)
        return self._data[about]

    def task(self, config: dict[str, Any], name: str, setting: Setting) -> Task:
        """Prepare a trial: its run lies in the sweep's folder, under its id, and its paths hold anywhere."""
        folder = self.plan.folder
        command = [
            "loupe",
            "train",
            *(axis.override(setting[axis.key]) for axis in self.plan.axes if axis.key in setting),
        ]
        data = dict(config["data"])
        if data.get("num_workers", 0) is None:
            data["num_workers"] = self._threads - 1 if self._threads > 1 else 0
        for key in ("root", "cache"):
            if data.get(key) is not None:
                data[key] = str(Path(data[key]).expanduser().resolve())
        share = self.plan.config.share_gib
        return Task(
            id=name,
            trial=self.plan.config.trial,
            config={
                **config,
                "data": data,
                "out": str(folder),
                "name": TRIALS,
                "id": name,
                "report": self.plan.config.report == "all",
            },
            command=tuple(command),
            log=str(folder / LOGS / f"{name}.txt"),
            threads=self._threads,
            share=str(folder / SHARED) if share else "",
            share_gib=share,
        )

    def write_page(self, trial: Trial) -> None:
        """Write the report of a trial, unless it has one."""
        folder = self.plan.folder / TRIALS / trial.id
        if not folder.is_dir() or (folder / "report" / "index.html").is_file():
            return
        share = self.plan.config.share_gib
        log = str(self.plan.folder / LOGS / f"{trial.id}-page.txt")
        config = {"out": str(self.plan.folder), "name": TRIALS, "id": trial.id}
        shared = str(self.plan.folder / SHARED) if share else ""
        with logged(log):
            self.module.write_page(
                Task(trial.id, self.plan.config.trial, config, (), log, self._threads, shared, share)
            )

    def _belongs(self, trial: Trial) -> bool:
        """Tell whether a known trial lies in this plan's space: its choices, composed now, must give its id again."""
        if self.plan.config.search == "grid":
            return False  # a grid visits every combination itself
        setting = {axis.key: axis.choices[0] for axis in self.plan.axes if axis.fixed}
        setting |= {axis.key: trial.setting[axis.key] for axis in self.plan.axes if axis.key in trial.setting}
        if any(axis.is_group and axis.key not in setting for axis in self.plan.axes):
            return False
        return self._describe(self.composer.effective(setting))[1] == trial.id
