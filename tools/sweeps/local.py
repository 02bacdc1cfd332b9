"""Trials on this machine: in this process, or in a few that stay warm."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from .perform import logged, perform
from .task import Judge, Outcome, Task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.context import SpawnProcess

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
        """One, or none."""
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

    def close(self) -> None:
        """Nothing runs on."""


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    task: Task | None = None


class Pool:
    """Runs trials in processes of their own: each loads torch once, and takes its next trial as soon as it is free.

    A worker that dies fails its own trial alone, and another takes its place.

    Args:
        environments: What each worker's environment adds to this one's: threads, devices.
        judge: As in ``perform``.
        trial: Dotted name of the module that workers load at once, while the planner still prepares their first trials.
    """

    def __init__(self, environments: Sequence[Mapping[str, str]], judge: Judge | None, trial: str) -> None:
        self._environments = environments
        self._judge = judge
        self._trial = trial
        self._workers = [self._start(environment) for environment in environments]

    @property
    def free(self) -> int:
        """Workers without a trial."""
        return sum(worker.task is None for worker in self._workers)

    def submit(self, task: Task) -> None:
        """Hand a task to a free worker."""
        worker = next(worker for worker in self._workers if worker.task is None)
        if not worker.process.is_alive():  # killed while it had nothing to do
            place = self._workers.index(worker)
            worker.connection.close()
            worker = self._workers[place] = self._start(self._environments[place])
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
            if isinstance(message, Outcome):
                worker.task = None
                outcomes.append(message)
            else:
                worker.connection.send(self._judge is not None and self._judge(*message))
        return outcomes

    def close(self) -> None:
        """End idle workers in peace, and busy ones at once."""
        for worker in self._workers:
            if worker.task is not None:
                worker.process.kill()
            worker.connection.close()
        for worker in self._workers:
            worker.process.join(_GRACE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def _start(self, environment: Mapping[str, str]) -> _Worker:
        context = multiprocessing.get_context("spawn")  # a fork would inherit half a torch, and no CUDA at all
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, dict(environment), self._judge is not None, self._trial))
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _bury(self, worker: _Worker) -> Outcome:
        """Say how a worker died, and put another in its place."""
        task, place = worker.task, self._workers.index(worker)
        if task is None:
            raise RuntimeError("Expected a worker that died to have had a trial.")
        worker.connection.close()
        worker.process.join()
        code = worker.process.exitcode or 0
        self._workers[place] = self._start(self._environments[place])
        killed = code == -signal.SIGKILL  # as the kernel does when memory runs out
        how = f"by signal {-code}" if code < 0 else f"with status {code}"
        return Outcome(task.id, "memory" if killed else "failed", error=f"The process of the trial ended {how}.")


def work(connection: Connection, environment: Mapping[str, str], judged: bool, trial: str) -> None:
    """Run what comes through the connection until it closes: the life of a worker."""
    os.environ.update(environment)  # before torch is imported, which reads it once
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the planner's to handle
    threading.Thread(target=_die_with_planner, daemon=True).start()
    with contextlib.suppress(Exception), logged(os.devnull):  # what is wrong with it, its first task will say
        importlib.import_module(trial)

    def ask(trial_id: str, step: int, value: float) -> bool:
        connection.send((trial_id, step, value))
        answer: bool = connection.recv()
        return answer

    while True:
        try:
            task: Task = connection.recv()
        except (EOFError, ConnectionError):
            return
        connection.send(perform(task, ask if judged else None))


def _die_with_planner() -> None:
    """End when the planner is killed: its successor will run the trial again, and two would write one folder."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


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
