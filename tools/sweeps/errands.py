"""What the planner has done where torch is loaded; each errand names the module that runs trials."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.errors import DataError
from tools.errors import ConfigError

from .perform import logged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .leaderboard import Leaderboard
    from .task import Task

PROGRESS = {
    "identify": "loading torch and anomalib, and reading the data",
    "check": "trying every value",
    "measure": "timing the finalists",
    "write_page": "writing the report of the best",
    "write_board": "gathering events for TensorBoard",
}
"""What is being done, in the words of a terminal."""


def identify(trial: str, config: dict[str, Any]) -> tuple[str, list[str]]:
    """Hash the content of a config's data; list the files and folders that it comes from, where the module knows."""
    module = importlib.import_module(trial)
    data: str = module.data_identity(config)
    return data, list(module.data_places(config)) if hasattr(module, "data_places") else []


def check(trial: str, configs: Sequence[dict[str, Any]]) -> list[str]:
    """Say of every config why no trial could run with it; empty where one could, or where the module cannot tell."""
    module = importlib.import_module(trial)
    return [_objection(module, config) if hasattr(module, "check") else "" for config in configs]


def measure(trial: str, tasks: Sequence[Task]) -> list[tuple[float, float]]:
    """Measure finished trials' models in turns: least and middle milliseconds; none where the module cannot."""
    module = importlib.import_module(trial)
    return list(module.measure(tasks)) if hasattr(module, "measure") else []


def write_page(trial: str, task: Task) -> None:
    """Write the report of a finished trial."""
    with logged(task.log):
        importlib.import_module(trial).write_page(task)


def write_board(trial: str, board: Leaderboard, folder: str) -> None:
    """Gather TensorBoard's events of all trials of a sweep's folder."""
    del trial
    from .events import gather_events  # noqa: PLC0415 - loads torch

    gather_events(board, Path(folder))


def _objection(module: Any, config: dict[str, Any]) -> str:
    try:
        module.check(config)
    except (ConfigError, DataError) as error:  # no data were read: the latter is about a value, too
        return str(error)
    except Exception:  # noqa: BLE001 - missing weights, say: no value is impossible for that, and its trial will tell
        return ""
    return ""
