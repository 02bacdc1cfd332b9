"""``loupe train resume=RUN``: the run that goes on, and what may change about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .configuring.config import apply_overrides, parse_overrides
from .errors import ConfigError
from .runs.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

RESUME = "resume"
LONGER = ("trainer.max_epochs", "trainer.max_steps")
NEEDED = {"data", "model", "trainer", "threshold"}
CHANGEABLE = (*LONGER, "trainer.accelerator", "trainer.devices", "data.num_workers", "data.cache", "report")


def resumed(args: Sequence[str]) -> tuple[RunFolder, DictConfig] | None:
    """Find the run that ``resume=`` names, and its config with the other overrides; None where there is no such key.

    Raises:
        ConfigError: There is no run, or an override would make another run of it.
    """
    overrides = parse_overrides(args)
    named = [override.value() for override in overrides if override.key_or_group == RESUME]
    if not named:
        return None
    if named[-1] is None:
        raise ConfigError("Expected resume to be the folder of a run, but found null.")
    folder = RunFolder.open(str(named[-1]))
    config = folder.load_config()
    if not set(map(str, config)) >= NEEDED or "run" in config:
        raise ConfigError(f"Expected {folder.path} to be the run of a training, but it holds what another verb wrote.")
    others = [override for override in overrides if override.key_or_group != RESUME]
    for override in others:
        _check(override, config, folder)
    apply_overrides(config, [override for override in others if override.key_or_group != "out"])
    # A folder that was moved goes on where it is.
    config.out, config.name, config.id = str(folder.path.parent.parent), folder.path.parent.name, folder.path.name
    return folder, config


def _check(override: Override, config: DictConfig, folder: RunFolder) -> None:
    key, value = override.key_or_group, override.value()
    if key == "out":
        if Path(str(value)).expanduser().resolve() != folder.path.parent.parent:
            raise ConfigError(f"Expected the run to go on in its own folder, {folder.path}, but found out={value}.")
        return
    if key not in CHANGEABLE or override.is_add() or override.is_delete():
        raise ConfigError(
            f"Expected {key} to stay as the run has it, or it would be another run; with resume, only "
            f"{', '.join(CHANGEABLE)} can change."
        )
    if key in LONGER and isinstance(value, int):
        before = config.trainer[key.split(".")[1]]
        if 0 <= value < (before if before >= 0 else float("inf")):
            raise ConfigError(f"Expected {key} to be at least that of the run, {before}, but found {value}.")
