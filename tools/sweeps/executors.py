"""Which executor a plan asks for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .local import InProcess, Pool, worker_environments
from .plan import worker_count

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from .task import Executor, Judge


def thread_count(settings: DictConfig) -> int:
    """Say on how many threads of the processor each trial runs."""
    return int(settings.cpus or 1) if settings.address is not None else worker_count(settings, len(visible_gpus()))[1]


def make_executor(settings: DictConfig, judge: Judge | None) -> Executor:
    """Build the executor that the keys of ``sweep`` describe.

    Raises:
        ConfigError: Ray is asked for and is not installed, or no cluster answers.
    """
    if settings.address is not None:
        from .on_ray import OnRay  # noqa: PLC0415 - an extra that few install

        return OnRay(settings.address, thread_count(settings), settings.gpus, settings.workers, judge)
    gpus = visible_gpus()
    workers, threads = worker_count(settings, len(gpus))
    if workers == 0:
        return InProcess(judge)
    environments = worker_environments(workers, threads, settings.gpus, gpus)
    return Pool(environments, judge, settings.trial, forks=not gpus)


def visible_gpus() -> list[str]:
    """Name the GPUs that trials may use, as CUDA_VISIBLE_DEVICES does, without waking any."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name.strip() not in {"", "-1"}]
    devices = Path("/dev").glob("nvidia[0-9]*")
    return sorted(device.name.removeprefix("nvidia") for device in devices)
