"""``data.split_from=RUN``: the run whose splits are held, by its folder, its name, or as the latest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.errors import ConfigError

from .known_runs import find_run
from .run_files import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from omegaconf import DictConfig


def settle_split_from(config: DictConfig) -> None:
    """Put the folder of the run in place of whatever named it.

    Raises:
        ConfigError: There is no such run.
    """
    if (folder := held_run(config)) is not None:
        config.data.split_from = str(folder)


def held_run(config: DictConfig) -> Path | None:
    """Return the folder that ``data.split_from`` names; None where it names none.

    Raises:
        ConfigError: There is no such run.
    """
    wanted = config.data.get("split_from")
    if wanted is None:
        return None
    folder = find_run(str(wanted), config.out).resolve()
    if not folder.is_file() and not (folder / SAMPLES).is_file():
        raise ConfigError(f"Expected data.split_from to be a run with {SAMPLES}, but found none at {folder}.")
    return folder
