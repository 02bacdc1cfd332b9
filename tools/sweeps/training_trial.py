"""A trial that trains: one run, as ``loupe train`` makes it, without its page."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig, OmegaConf

from callbacks.training.history import read_rows
from datamodules.caching.cache import BESIDE
from datamodules.caching.in_memory import SampleCache, keeping
from datamodules.files.own_process import settle_process
from datamodules.synthetic.datamodule import SyntheticDataModule
from datamodules.table import read_table
from models.sharing.shared_work import SharedWork
from tools.configuring.build import build, check_arguments
from tools.runs.checkpoint import build_module, read_checkpoint, restore
from tools.runs.course import SECTION
from tools.runs.run_files import ENVIRONMENT, METRICS
from tools.runs.run_folder import RunFolder
from tools.runs.taken_runs import take_runs
from tools.runs.testing import Provenance, run_test
from tools.runs.training import check_size, train

from .sharing import ShareWork
from .timing import measure
from .watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightning import Callback

    from datamodules.base import InspectionDataModule

    from .task import Report, Task

__all__ = ["check", "data_identity", "data_places", "measure", "run_trial", "write_page"]

_samples = SampleCache(2**29)  # half a GiB of every process: some 2,700 images of 256 x 256


def data_identity(config: dict[str, Any]) -> str:
    """Hash the data that a config names: images, labels, splits, and the bytes of masks, zones and outlines."""
    datamodule: InspectionDataModule = build(OmegaConf.create(config["data"]), "data")
    datamodule.setup()
    table = datamodule.samples
    hashed = hashlib.sha256(datamodule.content_hash.encode())
    for column in (column for column in BESIDE if column in table):
        for name, path in sorted(zip(table["name"], table[column], strict=True)):
            if path and Path(path).is_file():
                hashed.update(f"{column} {name}".encode())
                hashed.update(hashlib.sha256(Path(path).read_bytes()).digest())
    return hashed.hexdigest()[:16]


def data_places(config: dict[str, Any]) -> list[str]:
    """List the files and folders that a config's data come from; of drawn ones, the folder of their own."""
    datamodule: InspectionDataModule = build(OmegaConf.create(config["data"]), "data")
    if isinstance(datamodule, SyntheticDataModule):
        datamodule.setup()
        return [os.path.commonpath([str(path) for path in datamodule.samples["image_path"]])]
    values = [value for key, value in config["data"].items() if isinstance(value, str) and key != "cache"]
    return sorted(str(path.resolve()) for value in values if (path := Path(value).expanduser()).exists())


def check(config: dict[str, Any]) -> None:
    """Build all that a trial needs but its data and pre-trained files, so that a wrong value is found at once.

    Raises:
        ConfigError: A value is wrong.
    """
    resolved = OmegaConf.create(config)
    check_arguments(resolved.trainer, "trainer")
    take_runs(resolved.model)
    module = build_module(resolved)
    check_size(module, build(resolved.data, "data"))
    for name, entry in resolved.callbacks.items():
        check_arguments(entry, f"callbacks.{name}")


def run_trial(task: Task, report: Report) -> dict[str, Any]:
    """Train, calibrate and test; return what a sweep compares.

    The folder of an earlier attempt, which a kill left unfinished, is removed first.
    """
    settle_process()
    torch.set_num_threads(task.threads)  # the number of threads may change the last bits: alike wherever it runs
    config = _config(task)
    shutil.rmtree(_folder(config), ignore_errors=True)
    work = _work(task)
    watch = Watch(report, work)
    with _command(task.command), _decoded(work):
        folder = train(config, [*_sharing(work), watch], overrides=None)  # the sweep writes the row, of what differs
    environment = folder.read_json(ENVIRONMENT)
    if work is not None and not math.isnan(watch.milliseconds):  # the test read features instead of computing them
        environment["milliseconds_per_picture"] = round(watch.milliseconds, 2)
        folder.write_json(ENVIRONMENT, environment)
    low, high = watch.interval or (None, None)
    metrics = folder.read_json(METRICS)
    return {
        "objective": watch.objective,
        "objective_low": _plain(low),
        "objective_high": _plain(high),
        "metrics": metrics["test"],
        "pictures": metrics["pictures"],
        "milliseconds_per_picture": environment["milliseconds_per_picture"],
        "checkpoint_mib": round(folder.best_checkpoint.stat().st_size / 2**20, 3),
        "shared": 0 if work is None else work.hits,
    }


def write_page(task: Task) -> None:
    """Test a finished trial again, and write its page; its numbers stay the same."""
    torch.set_num_threads(task.threads)
    config = _config(task)
    folder = RunFolder(_folder(config))
    checkpoint = read_checkpoint(folder.best_checkpoint)
    module = restore(checkpoint)
    config = folder.load_config()
    config.report = True
    datamodule: InspectionDataModule = build(config.data, "data")
    datamodule.use_samples(read_table(folder.samples))
    environment = folder.read_json(ENVIRONMENT)
    course = folder.read_json(METRICS).get(SECTION, {})
    provenance = Provenance(checkpoint.epoch, None, course, read_rows(folder.history) if course else {})
    work = _work(task)
    with _decoded(work):
        run_test(config, module, datamodule, folder, environment, _sharing(work), provenance)
    folder.write_json(ENVIRONMENT, environment)  # with the time that was measured when nothing was shared


def _work(task: Task) -> SharedWork | None:
    return SharedWork(task.share, task.share_gib) if task.share else None


def _sharing(work: SharedWork | None) -> list[Callback]:
    """Share what networks compute with other trials."""
    return [] if work is None else [ShareWork(work)]


@contextmanager
def _decoded(work: SharedWork | None) -> Iterator[None]:
    """Share decoded images with other trials of this process, where anything is shared."""
    with keeping(None if work is None else _samples):
        yield


def _config(task: Task) -> DictConfig:
    config = OmegaConf.create(json.loads(json.dumps(task.config)))  # a copy: a run changes its config
    if not isinstance(config, DictConfig):
        raise TypeError(f"Expected the config of a trial to hold keys, but got a {type(config).__name__}.")
    return config


def _folder(config: DictConfig) -> Path:
    return Path(str(config.out)) / str(config.name) / str(config.id)


@contextmanager
def _command(command: tuple[str, ...]) -> Iterator[None]:
    """Let the run note the command that would run it alone."""
    before, sys.argv = sys.argv, list(command) or sys.argv
    try:
        yield
    finally:
        sys.argv = before


def _plain(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
