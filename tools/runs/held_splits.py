"""``data.split_from=RUN``: the run whose splits are held, by its folder, its name, or as the latest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.errors import ConfigError

from .known_runs import HOME, find_run
from .run_files import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omegaconf import DictConfig

_KEY = "data.split_from="


def settle_split_from(config: DictConfig) -> None:
    """Put the folder of the run in place of whatever named it.

    Raises:
        ConfigError: There is no such run.
    """
    if (folder := held_run(config)) is not None:
        config.data.split_from = str(folder)


def name_held_runs(overrides: Sequence[str]) -> list[str]:
    """Put folders in place of the names of runs in ``data.split_from=``, so that trials find them wherever they run.

    Raises:
        ConfigError: There is no such run.
    """
    out = next((arg.removeprefix("out=") for arg in reversed(overrides) if arg.startswith("out=")), str(HOME))
    return [_named(arg, out) if arg.startswith(_KEY) else arg for arg in overrides]


def _named(arg: str, out: str) -> str:
    names = arg.removeprefix(_KEY).split(",")
    return _KEY + ",".join(name if name == "null" else str(_folder(name, out)) for name in names)


def held_run(config: DictConfig) -> Path | None:
    """Return the folder that ``data.split_from`` names; None where it names none.

    Raises:
        ConfigError: There is no such run.
    """
    wanted = config.data.get("split_from")
    if wanted is None:
        return None
    return _folder(str(wanted), config.out)


def _folder(wanted: str, out: str | Path) -> Path:
    folder = find_run(wanted, out).resolve()
    if not folder.is_file() and not (folder / SAMPLES).is_file():
        raise ConfigError(f"Expected data.split_from to be a run with {SAMPLES}, but found none at {folder}.")
    return folder
