"""Trials on this machine: in this process, or in a few that stay warm."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from . import warm
from .asking import Question, value_of
from .perform import perform
from .task import Judge, Outcome, Task
from .worker import Done, bytes_for_each, work

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerContext, SpawnContext
    from multiprocessing.process import BaseProcess

_PATIENCE_S = 1.0  # after which the planner may look at its clock
_GRACE_S = 5.0  # for a worker to end by itself


class InProcess:
    """Runs one trial at a time, here: easy to debug, and nothing to start.

    Args:
        judge: As in ``perform``.
    """

    def __init__(self, judge: Judge | None) -> None:
        self._judge = judge
        self._task: Task | None = None

    @property
    def free(self) -> int:
        """Whether the one worker is free: 1, or 0."""
        return int(self._task is None)

    def submit(self, task: Task) -> None:
        """Note the task; ``wait`` runs it."""
        self._task = task

    def wait(self) -> list[Outcome]:
        """Run what was submitted."""
        if self._task is None:
            return []
        task, self._task = self._task, None
        return [perform(task, self._judge)]

    def ask(self, module: str, function: str, *args: Any) -> Any:
        """Call the function here."""
        return getattr(importlib.import_module(module), function)(*args)

    def close(self) -> None:
        """Do nothing: no trial is running."""


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: Task | None = None


class Pool:
    """Runs trials in processes of their own, which stay warm, and take the next trial as soon as they are free.

    Without GPUs they are forked from a server that has loaded torch once, and computed nothing: another worker costs
    next to nothing. With GPUs each loads torch for itself, since no fork may follow the first look at a device.
    A worker that dies fails its own trial alone, and another takes its place.

    Args:
        environments: What each worker's environment adds to this one's: threads, devices.
        judge: As in ``perform``.
        trial: Dotted name of the module that workers load at once, while the planner still prepares their first trials.
        forks: Whether workers may be forked: not where there are GPUs.
    """

    def __init__(
        self, environments: Sequence[Mapping[str, str]], judge: Judge | None, trial: str, *, forks: bool = True
    ) -> None:
        self._environments = environments
        self._judge = judge
        self._trial = trial
        self._most_bytes = bytes_for_each(len(environments))
        self._context = _forking(environments[0], trial) if forks else _spawning()
        self._workers = [self._start(environment) for environment in environments]
        self._helper: _Worker | None = None

    @property
    def free(self) -> int:
        """Workers without a trial."""
        return sum(worker.task is None for worker in self._workers)

    def submit(self, task: Task) -> None:
        """Hand a task to a free worker."""
        worker = next(worker for worker in self._workers if worker.task is None)
        if not worker.process.is_alive():  # killed while it had nothing to do
            worker = self._replace(worker)
        worker.task = task
        worker.connection.send(task)

    def wait(self) -> list[Outcome]:
        """Wait until a trial ends, answering intermediate values meanwhile."""
        outcomes = []
        busy = {worker.connection: worker for worker in self._workers if worker.task is not None}
        for connection in wait(list(busy), _PATIENCE_S):
            worker = busy[connection]  # type: ignore[index]  # only connections were asked for
            try:
                message = worker.connection.recv()
            except (EOFError, ConnectionError):
                outcomes.append(self._bury(worker))
                continue
            if isinstance(message, Done):
                worker.task = None
                outcomes.append(message.outcome)
                if message.leaves:
                    self._replace(worker)
            else:
                worker.connection.send(self._judge is not None and self._judge(*message))
        return outcomes

    def ask(self, module: str, function: str, *args: Any) -> Any:
        """Ask a worker that runs no trials; it is started when it is first needed."""
        if self._helper is None or not self._helper.process.is_alive():
            self._helper = self._start(self._environments[0])
        self._helper.connection.send(Question(module, function, args))
        try:
            found = self._helper.connection.recv()
        except (EOFError, ConnectionError):
            self._helper.process.join()
            code = self._helper.process.exitcode or 0
            self._helper = None
            raise RuntimeError(f"Expected an answer of {function}, but its process ended {_end_of(code)}.") from None
        return value_of(found)

    def close(self) -> None:
        """End idle workers in peace, and busy ones at once."""
        workers = [*self._workers, *([] if self._helper is None else [self._helper])]
        for worker in workers:
            if worker.task is not None:
                worker.process.kill()
            worker.connection.close()
        for worker in workers:
            worker.process.join(_GRACE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def _start(self, environment: Mapping[str, str]) -> _Worker:
        ours, theirs = self._context.Pipe()
        about = (theirs, dict(environment), self._judge is not None, self._trial, self._most_bytes)
        process = self._context.Process(target=work, args=about)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _replace(self, worker: _Worker) -> _Worker:
        """Put another worker in the place of one that has gone."""
        place = self._workers.index(worker)
        worker.connection.close()
        worker.process.join()
        self._workers[place] = self._start(self._environments[place])
        return self._workers[place]

    def _bury(self, worker: _Worker) -> Outcome:
        """Say how a worker died, and put another in its place."""
        task = worker.task
        if task is None:
            raise RuntimeError("Expected a worker that died to have had a trial.")
        self._replace(worker)
        code = worker.process.exitcode or 0
        killed = code == -signal.SIGKILL  # as the kernel does when memory runs out
        sentence = f"The process of the trial ended {_end_of(code)}."
        hint = " That is what the system does when memory runs out." if killed else ""
        return Outcome(task.id, "memory" if killed else "failed", error=f"{sentence}{hint}", cause=f"{sentence}{hint}")


def _end_of(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with status {code}"


def _spawning() -> SpawnContext:
    return multiprocessing.get_context("spawn")


def _forking(environment: Mapping[str, str], trial: str) -> ForkServerContext | SpawnContext:
    """Start the server that workers are forked from, with torch loaded under the environment that they will have."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return _spawning()
    context = multiprocessing.get_context("forkserver")
    # The server looks into the current folder first, which may hold a package named tools: loupe says whose is meant.
    context.set_forkserver_preload(["loupe", warm.__name__])
    with _environment({**environment, warm.TRIAL: trial}):  # threads are read once, when torch is imported
        forkserver.ensure_running()
    return context


@contextmanager
def _environment(added: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(added)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def worker_environments(workers: int, threads: int, gpus: float, visible: Sequence[str]) -> list[dict[str, str]]:
    """Divide threads and GPUs among workers.

    Args:
        workers: How many.
        threads: Of the processor, for each.
        gpus: For each; below 1, several share one.
        visible: Names of the GPUs there are.
    """
    environments = []
    for index in range(workers):
        environment = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        if visible and gpus > 0:
            first = int(index * gpus + 1e-9)
            own = [visible[(first + offset) % len(visible)] for offset in range(max(1, round(gpus)))]
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(own)
        environments.append(environment)
    return environments
