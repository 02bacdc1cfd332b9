"""The life of a worker: tasks and questions come through a connection, outcomes and answers go back."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import resource
import signal
import sys
import threading
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .asking import Question, answer
from .perform import logged, perform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from multiprocessing.connection import Connection

    from .task import Outcome, Task

_SHARE = 0.6  # of the machine's memory, for all workers together between two trials


class Done(NamedTuple):
    """What became of a task, and whether the worker leaves: it holds more memory than it should keep."""

    outcome: Outcome
    leaves: bool


def work(
    connection: Connection, environment: Mapping[str, str], judged: bool, trial: str, most_bytes: float = float("inf")
) -> None:
    """Run what comes through the connection until it closes.

    Args:
        connection: To the planner.
        environment: To add to this process's: threads, devices.
        judged: The planner wants to hear intermediate values.
        trial: Dotted name of the module that runs trials.
        most_bytes: A worker that holds more than so much after a trial leaves, and another takes its place.
    """
    os.environ.update(environment)  # before torch is imported, or a device is touched
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the planner's to handle
    threading.Thread(target=_die_with_planner, daemon=True).start()
    with contextlib.suppress(Exception), logged(os.devnull):  # what is wrong with it, its first task will say
        importlib.import_module(trial)

    def ask(trial_id: str, step: int, value: float) -> bool:
        connection.send((trial_id, step, value))
        verdict: bool = connection.recv()
        return verdict

    with contextlib.suppress(EOFError, ConnectionError):  # the planner is gone, and nobody waits for an outcome
        _serve(connection, ask if judged else None, most_bytes)


def _serve(connection: Connection, ask: Callable[[str, int, float], bool] | None, most_bytes: float) -> None:
    """Answer what comes through the connection.

    Raises:
        EOFError: It was closed at the other end.
        ConnectionError: Likewise.
    """
    while True:
        asked: Task | Question = connection.recv()
        if isinstance(asked, Question):
            with logged(os.devnull):
                found = answer(asked)
            connection.send(found)
            continue
        outcome = perform(asked, ask)
        leaves = resident_bytes() > most_bytes
        connection.send(Done(outcome, leaves))
        if leaves:
            return


def _die_with_planner() -> None:
    """End when the planner is killed: its successor will run the trial again, and two would write one folder."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def resident_bytes() -> int:
    """Return the memory that this process holds now; where the system does not say, the most that it ever held."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return pages * os.sysconf("SC_PAGE_SIZE")


def bytes_for_each(workers: int) -> float:
    """Return how much memory each of several workers may hold between two trials."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")  # of a container
    if limit.is_file() and (text := limit.read_text(encoding="ascii").strip()).isdigit():
        total = min(total, int(text))
    return _SHARE * total / max(1, workers)
