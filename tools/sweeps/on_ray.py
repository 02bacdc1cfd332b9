"""Trials as tasks of a Ray cluster: the same trials, with the same ids and results, on more machines.

The cluster's machines need Loupe and the sweep's folder and data at the same paths, as on a shared file system.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
from typing import TYPE_CHECKING, Any

from datamodules.progress import working
from tools.errors import ConfigError

from .failures import cause_of
from .perform import perform
from .task import Judge, Outcome, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATIENCE_S = 1.0
_ANSWER_S = 0.1  # how long an intermediate value may wait for its verdict
_AHEAD = 1  # tasks that wait on the cluster beyond those that fit, so that no place idles for a round trip


class OnRay:
    """Runs trials on a cluster that is there, or on one of this machine (``local``).

    Args:
        address: ``auto``, ``ray://HOST:PORT``, ``HOST:PORT`` or ``local``.
        cpus: Of a trial.
        gpus: Of a trial, where the cluster has any; may be a share.
        workers: Trials at a time; None: as many as the cluster holds.
        judge: As in ``perform``.

    Raises:
        ConfigError: Ray is not installed, or no cluster answers.
    """

    def __init__(self, address: str, cpus: int, gpus: float, workers: int | None, judge: Judge | None) -> None:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a task without GPUs keeps what it finds
        try:
            import ray  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ConfigError(
                "Expected Ray, since sweep.address is set, but it is not installed; pip install 'loupe-inspect[ray]', "
                "or leave sweep.address out."
            ) from error
        self._ray: Any = ray  # half of its names carry no types
        self._judge, self._workers, self._cpus = judge, workers, cpus
        threads = {"OMP_NUM_THREADS": str(cpus), "MKL_NUM_THREADS": str(cpus)}
        try:
            self._ray.init(address, log_to_driver=False, logging_level=logging.ERROR, runtime_env={"env_vars": threads})
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"Expected a Ray cluster at sweep.address={address}, but found none: {error}; start one with "
                "ray start --head."
            ) from error
        has_gpus = self._ray.cluster_resources().get("GPU", 0) > 0
        self._gpus = gpus if has_gpus else 0
        self._mailbox = self._ray.remote(num_cpus=0)(Mailbox).remote() if judge is not None else None
        # Once more, should its machine be lost: it starts anew and removes what was left. Its own errors are outcomes.
        self._run = self._ray.remote(num_cpus=cpus, num_gpus=self._gpus, max_retries=1)(_run)
        self._tasks: dict[Any, str] = {}

    @property
    def free(self) -> int:
        """Places on the cluster as it is now, since it may have grown."""
        resources: Mapping[str, float] = self._ray.cluster_resources()
        fit = int(resources.get("CPU", 0) / self._cpus + 1e-9)
        if self._gpus:
            fit = min(fit, int(resources.get("GPU", 0) / self._gpus + 1e-9))
        most = fit + _AHEAD if self._workers is None else self._workers
        return max(0, most - len(self._tasks))

    def submit(self, task: Task) -> None:
        """Hand a task to the cluster."""
        self._tasks[self._run.remote(task, self._mailbox)] = task.id

    def wait(self) -> list[Outcome]:
        """Wait until a trial ends, answering intermediate values meanwhile."""
        patience = _PATIENCE_S if self._mailbox is None else _ANSWER_S
        done, _ = self._ray.wait(list(self._tasks), num_returns=1, timeout=patience)
        if self._mailbox is not None and self._judge is not None:
            for ticket, question in self._ray.get(self._mailbox.drain.remote()):
                self._mailbox.answer.remote(ticket, self._judge(*question))
        return [self._outcome(reference) for reference in done]

    def ask(self, module: str, function: str, *args: Any) -> Any:
        """Call the function here, where the data lie at the same paths."""
        with working("loading torch and anomalib"):
            found = getattr(importlib.import_module(module), function)
        return found(*args)

    def close(self) -> None:
        """Cancel what still runs, and leave the cluster."""
        for reference in self._tasks:
            self._ray.cancel(reference, force=True)
        self._ray.shutdown()

    def _outcome(self, reference: Any) -> Outcome:
        name = self._tasks.pop(reference)
        try:
            outcome: Outcome = self._ray.get(reference)
        except self._ray.exceptions.OutOfMemoryError as error:
            return Outcome(name, "memory", error=str(error), cause=cause_of(error))
        except self._ray.exceptions.RayError as error:  # the worker or its machine is gone
            return Outcome(name, "failed", error=str(error), cause=cause_of(error))
        return outcome


class Mailbox:
    """An actor that carries intermediate values to the planner, and its verdicts back."""

    def __init__(self) -> None:
        self._asked: list[tuple[int, tuple[str, int, float]]] = []
        self._open: dict[int, asyncio.Future[bool]] = {}
        self._tickets = 0

    async def ask(self, trial_id: str, step: int, value: float) -> bool:
        """Ask whether a trial should end; answered by ``answer``."""
        self._tickets += 1
        self._open[self._tickets] = asyncio.get_running_loop().create_future()
        self._asked.append((self._tickets, (trial_id, step, value)))
        return await self._open[self._tickets]

    async def drain(self) -> list[tuple[int, tuple[str, int, float]]]:
        """Return what was asked since the last time."""
        asked, self._asked = self._asked, []
        return asked

    async def answer(self, ticket: int, verdict: bool) -> None:
        """Answer a question."""
        self._open.pop(ticket).set_result(verdict)


def _run(task: Task, mailbox: Any) -> Outcome:
    """Run a task on a machine of the cluster."""
    if mailbox is None:
        return perform(task, None)
    import ray  # noqa: PLC0415 - an extra

    return perform(task, lambda *question: bool(ray.get(mailbox.ask.remote(*question))))
