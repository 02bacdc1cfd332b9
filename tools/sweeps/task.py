"""What passes between the planner of a sweep and those who do the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Report = Callable[[int, float], None]
"""Tells the planner an intermediate objective (step, value); raises ``PrunedTrialError`` where the trial should end."""
Judge = Callable[[str, int, float], bool]
"""Asks the planner about a trial (id, step, value): should it end?"""


class PrunedTrialError(Exception):
    """The trial falls behind others, and ends here."""


@dataclass(frozen=True)
class Task:
    """One trial, ready to run anywhere.

    Attributes:
        id: Of the trial.
        trial: Dotted name of the module that runs it (see ``TrialModule``).
        config: The resolved config of a run, plain values.
        command: That would run it alone, for the record.
        log: File for all that it prints.
        threads: Of the processor.
        share: Folder of work that trials share; empty: share nothing.
        share_gib: Its size at most.
    """

    id: str
    trial: str
    config: dict[str, Any]
    command: tuple[str, ...] = ()
    log: str = ""
    threads: int = 1
    share: str = ""
    share_gib: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What became of a task; attributes as in ``Trial``, and the state ``memory``: it ran out of it."""

    id: str
    state: Literal["complete", "pruned", "failed", "memory"]
    result: dict[str, Any] = field(default_factory=dict)
    values: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    error: str = ""
    cause: str = ""


class Executor(Protocol):
    """Runs tasks: in this process, in others, or on a cluster."""

    @property
    def free(self) -> int:
        """How many tasks would start at once."""

    def submit(self, task: Task) -> None:
        """Start a task."""

    def wait(self) -> list[Outcome]:
        """Wait a while for tasks to end; return those that did."""

    def ask(self, module: str, function: str, *args: Any) -> Any:
        """Return what a function of a module answers, computed where torch is loaded; raise what it raises.

        Raises:
            DataError, ConfigError, WeightsError: As the function.
            RuntimeError: It raised anything else, or its process died.
        """

    def close(self) -> None:
        """Stop everything that still runs."""


class TrialModule(Protocol):
    """A module that knows how to run a trial; ``tools.sweeps.training_trial`` trains.

    It may offer more, by these names: ``check(config)`` raises ConfigError or DataError for a value that no trial can
    run with; ``data_places(config)`` lists the files and folders that data come from; ``measure(tasks)`` returns the
    least and the middle milliseconds per image of finished trials' models, when nothing else runs.
    """

    def data_identity(self, config: dict[str, Any]) -> str:
        """Hash the content of the data that a config names."""

    def run_trial(self, task: Task, report: Report) -> dict[str, Any]:
        """Run; return plain values, ``objective`` among them: the higher the better, from calibration images."""

    def write_page(self, task: Task) -> None:
        """Write the report of a trial that has been run without one."""
