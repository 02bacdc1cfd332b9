"""Values of a command that mean nothing, whatever the data: found before anything is read, built or written."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from tools.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

LARGEST_SEED = 2**32 - 1
LARGEST_SIDE = 1 << 14  # pixels; an image of that size takes 3 GiB in single precision
PROBABILITIES = (None, "auto", "isotonic", "platt")
LARGEST_RATE = 100  # of learning: beyond it no network learns anything
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_run(config: DictConfig) -> None:
    """Refuse values with which no run can be.

    Raises:
        ConfigError: Names the key.
    """
    seed = config.get("seed")
    if isinstance(seed, int) and not 0 <= seed <= LARGEST_SEED:
        raise ConfigError(f"Expected seed to be from 0 to {LARGEST_SEED}, but found {seed}.")
    if not str(config.get("out") or ""):
        raise ConfigError("Expected out to be a folder, but found nothing; out=. is this one.")
    for key in ("name", "id"):
        check_name(key, config.get(key))
    for side in OmegaConf.select(config, "data.image_size") or []:
        if isinstance(side, int) and side > LARGEST_SIDE:
            raise ConfigError(f"Expected data.image_size to be at most {LARGEST_SIDE} pixels, but found {side}.")
    if (found := OmegaConf.select(config, "threshold.probability")) not in PROBABILITIES:
        raise ConfigError(f"Expected threshold.probability to be auto, isotonic, platt or null, but found {found!r}.")
    _check_lengths(config)
    for group in ("model", "tiling"):
        if OmegaConf.is_config(values := config.get(group)):
            _check_numbers(OmegaConf.to_container(values, resolve=False), group)


def _check_lengths(config: DictConfig) -> None:
    """Refuse trainings of no length, and folds of no number.

    Raises:
        ConfigError: Names the key.
    """
    epochs = OmegaConf.select(config, "trainer.max_epochs")
    if isinstance(epochs, int) and epochs < 1 and epochs != -1:
        raise ConfigError(f"Expected trainer.max_epochs to be at least 1, or -1 for no limit, but found {epochs}.")
    if OmegaConf.select(config, "trainer.max_steps") == 0:
        raise ConfigError("Expected trainer.max_steps to be at least 1, or -1 for no limit, but found 0.")
    folds = config.get("folds")
    if folds is not None and type(folds) is not int:
        raise ConfigError(f"Expected folds to be a whole number of at least 2 or null, but found {folds!r}.")


def _check_numbers(values: Any, name: str) -> None:
    """Refuse numbers of a model that are not finite, and rates at which nothing is learnt.

    Raises:
        ConfigError: Names the key.
    """
    if isinstance(values, Mapping):
        for key, value in values.items():
            _check_numbers(value, f"{name}.{key}")
    if not isinstance(values, int | float):
        return
    if not math.isfinite(values):
        raise ConfigError(f"Expected {name} to be a finite number, but found {values}.")
    if name.endswith("learning_rate") and not 0 < values <= LARGEST_RATE:
        raise ConfigError(f"Expected {name} to be above 0 and at most {LARGEST_RATE}, but found {values}.")


def check_name(key: str, name: object) -> None:
    """Refuse names of folders that lead somewhere else.

    Raises:
        ConfigError: As above.
    """
    text = "" if name is None else str(name)
    if text in {".", ".."} or "/" in text or "\\" in text or _CONTROL.search(text):
        raise ConfigError(f"Expected {key} to name one folder, without slashes, but found {text!r}; out= says where.")
