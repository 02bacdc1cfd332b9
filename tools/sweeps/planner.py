"""The planner of a sweep: asks the search, names the trials, hands out those that are new, and notes what they find."""

from __future__ import annotations

import importlib.metadata
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from datamodules.errors import DataError
from datamodules.progress import working
from tools.errors import ConfigError

from . import errands
from .data_names import DATA_KEYS
from .executors import make_executor, thread_count
from .failures import add_to_log, cause_of
from .identity import trial_id
from .impossible import refuse_impossible
from .journal import Journal, Trial
from .known_data import KnownData, about_data
from .own import mark_of
from .pruning import Pruning
from .search import make_search
from .tasks import log_of, trial_task
from .territory import Territory

if TYPE_CHECKING:
    from collections.abc import Callable

    from .board import Board
    from .plan import Plan
    from .settings import Composer
    from .suggesting import Suggestion
    from .task import Executor, Outcome, Task

_REPEATS = 1000  # known suggestions in a row, of a search that should long have turned elsewhere


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
        progress: Called after every trial that ended.

    Attributes:
        visited: Ids of the plan's trials so far.
        ended: How many trials ended under this command.
        reason: Why nothing is left to try; empty where something may be.
        halt: What ended the command before its budget; empty where nothing did.
        threads: Of each trial.
    """

    def __init__(
        self,
        plan: Plan,
        composer: Composer,
        journal: Journal,
        board: Board,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self.plan, self.composer, self.journal, self.board = plan, composer, journal, board
        self.search = make_search(plan.config.search, composer, plan.config.seed)
        self.pruning = None if plan.config.prune == "none" else Pruning(plan.config.prune)
        self.visited: set[str] = set()
        self.ended = 0
        self.reason = self.halt = ""
        self.threads = thread_count(plan.config)
        self._progress = progress
        self._retried: set[str] = set()
        self._running: dict[str, _Running] = {}
        self._executor: Executor | None = None
        self._known_data = KnownData(journal, lambda config: self.errand("identify", config))
        self._checked = False
        self._several_data = any(axis.key in DATA_KEYS and len(set(axis.choices)) > 1 for axis in plan.axes)

    def errand(self, name: str, *args: Any) -> Any:
        """Have something done where torch is loaded: see ``errands``."""
        executor = self.executor
        with working(errands.PROGRESS[name]):
            return executor.ask(errands.__name__, name, self.plan.config.trial, *args)

    @property
    def executor(self) -> Executor:
        """What runs trials; made when the first is to run, since a sweep that is finished needs none."""
        if self._executor is None:
            judge = None if self.pruning is None else self.pruning.judge
            self._executor = make_executor(self.plan.config, judge)
        return self._executor

    def close(self) -> None:
        """Stop all that still runs."""
        if self._executor is not None:
            self._executor.close()
        self.board.end()

    def run(self) -> None:
        """Run every trial that is new, within the budget."""
        mine = [trial for trial in self.journal.suggested if self._belongs(trial)]
        if self.search.learn(mine):
            self.visited |= {trial.id for trial in mine if trial.state != "failed"}
        if self.pruning is not None:
            self.pruning.learn(self.journal.trials.values())
        self._loop()
        self._note_plan()
        if self.reason and self.journal.exhausted != self.reason:
            self.journal.note_exhausted(self.reason)

    def _refuse_impossible(self) -> None:
        """Refuse impossible values before anything is read or run, once."""
        if not self._checked:
            self._checked = True
            refuse_impossible(self.composer, self.journal.trials.values(), lambda some: self.errand("check", some))

    def _note_plan(self) -> None:
        """Note the command, once it has proved possible, so that the sweep can be resumed by its folder alone."""
        args = list(self.plan.args)
        if self.journal.plan is None or _without_place(self.journal.plan) != _without_place(args):
            self.journal.note_plan(args, importlib.metadata.version("loupe-inspect"), mark_of(args))

    def _loop(self) -> None:
        """Hand out and collect, with no barrier: a place that falls free is filled at once."""
        minutes = self.plan.config.minutes
        deadline = float("inf") if minutes is None else time.monotonic() + 60 * minutes
        ahead = self.plan.config.search == "grid"  # a search should know all that it can when it is asked
        ready: _Running | None = None
        more = True
        while True:
            if more and time.monotonic() >= deadline:
                self.halt = f"The {minutes:g} minutes are over; 'loupe sweep resume {self.plan.folder}' goes on."
                more = False
            if more and ready is None and (ahead or self._executor is None or self._executor.free):
                ready = self._next()
                more = ready is not None
            if more and ready is not None and self.executor.free:
                self._start(ready)
                ready = None
            elif self._running:
                for outcome in self.executor.wait():
                    self._collect(outcome)
                self.board.refresh()
            else:
                return

    def _next(self) -> _Running | None:
        """Prepare the next trial that is new; None where there is none within the budget."""
        for _ in range(_REPEATS):
            if self.plan.trials is not None and len(self.visited) >= self.plan.trials:
                return None
            suggestion = self.search.ask()
            if suggestion is None:
                self.reason = self._explain()
                return None
            running = self._prepare(suggestion)
            if running is not None:
                return running
        return None

    def _prepare(self, suggestion: Suggestion) -> _Running | None:
        """Make a task of a suggestion that is new; tell the search what is known of one that is not."""
        config = self.composer.config(suggestion.setting)
        if not self._known_data.knows(config):
            self._refuse_impossible()
        try:
            data = self._known_data.of(config)
        except (DataError, ConfigError) as error:
            if not self._several_data:
                raise
            self._note_unreadable(suggestion, config, cause_of(error))
            return None
        name = trial_id(config, data)
        if (void := _unread_id(config)) in self.journal.trials:
            self.journal.note_drop(void)
        known = self.journal.trials.get(name)
        if name in self.visited:
            if known is not None and known.state != "failed":
                self.journal.note_repeat(name)
            self.search.tell(suggestion, known, again=True)
        elif known is not None and known.state != "failed":
            self.visited.add(name)
            self.journal.note_setting(name, suggestion.setting)
            self.search.tell(suggestion, known)
            self.board.known(known)
        else:
            self.visited.add(name)
            task = trial_task(self.plan, config, name, suggestion.setting, self.threads)
            return _Running(suggestion, task, data)
        return None

    def _note_unreadable(self, suggestion: Suggestion, config: dict[str, Any], cause: str) -> None:
        """Note a trial whose data cannot be read as failed; the other data sets go on."""
        name = _unread_id(config)
        if name in self.visited:
            self.search.tell(suggestion, None, again=True)
            return
        self.visited.add(name)
        self._note_plan()
        add_to_log(log_of(self.plan, name), cause)
        trial = Trial(name, "failed", suggestion.setting, error=cause, cause=cause)
        self._note_end(suggestion, trial)

    def _start(self, running: _Running) -> None:
        self._refuse_impossible()
        self._note_plan()
        task = running.task
        self._running[task.id] = running
        if self.pruning is not None and task.id not in self._retried:
            self.pruning.start(task.id, running.data)
        self.journal.note_start(task.id, running.suggestion.setting)
        self.board.started(task.id, running.suggestion.setting)
        self.executor.submit(task)

    def _collect(self, outcome: Outcome) -> None:
        """Note what became of a trial; give one that ran out of memory a second chance, with half the batch."""
        running = self._running.pop(outcome.id)
        task = running.task
        if outcome.error and "Traceback" not in outcome.error:
            add_to_log(task.log, outcome.error)  # its process died, and wrote nothing
        batch_size = int(task.config.get("data", {}).get("batch_size", 1))
        if outcome.state == "memory" and outcome.id not in self._retried and batch_size > 1:
            self._retried.add(outcome.id)
            config = json.loads(json.dumps(task.config))
            config["data"]["batch_size"] = batch_size // 2
            self._start(running._replace(task=replace(task, config=config)))
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
            cause=outcome.cause,
            batch_size=batch_size if outcome.id in self._retried else None,
        )
        self._note_end(running.suggestion, trial)
        if self.pruning is not None:
            self.pruning.end(trial)

    def _note_end(self, suggestion: Suggestion, trial: Trial) -> None:
        self.journal.note_end(trial)
        self.search.tell(suggestion, trial)
        self.board.ended(trial)
        self.ended += 1
        self._progress()

    def _belongs(self, trial: Trial) -> bool:
        """Tell whether a known trial lies in this plan's space: its choices, composed now, must give its id again."""
        if self.plan.config.search == "grid":
            return False  # a grid visits every combination itself
        setting = {axis.key: axis.choices[0] for axis in self.plan.axes if axis.fixed}
        for axis in self.plan.axes:
            if (text := trial.setting.get(axis.key)) is not None:
                if axis.value(text) is None:
                    return False
                setting[axis.key] = text
        if any(axis.is_group and axis.key not in setting for axis in self.plan.axes):
            return False
        config = self.composer.config(self.composer.effective(setting))
        return trial_id(config, self._known_data.of(config)) == trial.id

    def _explain(self) -> str:
        """Say why nothing is left to try, where the budget had room for more."""
        if self.plan.config.search == "grid" and self.plan.config.trials is None:
            return ""  # that is what was asked for
        size = Territory(self.composer).size
        budget = "" if self.plan.trials is None else f" of the {self.plan.trials} that the budget allows"
        same = "" if size is None or size <= len(self.visited) else f" ({size} settings, of which some are alike)"
        return f"The space is exhausted: it holds {len(self.visited)} trials{same}{budget}, and all of them have run."


def _without_place(args: list[str]) -> list[str]:
    """Leave out where a sweep lies: it may have been moved since."""
    return [arg for arg in args if arg.partition("=")[0] not in {"out", "name"}]


def _unread_id(config: dict[str, Any]) -> str:
    """Name a trial whose data cannot be read by what its config says about them."""
    return trial_id(config, f"unread {about_data(config)}")
