"""A class of one's own in place of a choice: ``model={_target_: shop.levels.Levels, smooth: 9}``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from configs import CONFIG_DIR
from tools.errors import ConfigError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

TARGET = "_target_"
BASE = "_base.yaml"
GROUPS = ("data", "model")  # whose configs hold what one constructor takes


def names_own_class(override: Override) -> bool:
    """Tell whether a choice is spelt out, and not named."""
    return override.key_or_group in GROUPS and isinstance(override.value(), dict)


def own_class(override: Override) -> tuple[DictConfig, str]:
    """Take the keys of a choice that is spelt out, upon those that every choice of its group has; and name it.

    Raises:
        ConfigError: It names no class.
    """
    group, values = override.key_or_group, _plain(override.value())
    target = values.get(TARGET)
    if not isinstance(target, str) or "." not in target:
        raise ConfigError(
            f"Expected {group} to be a choice, or {{{TARGET}: package.module.Class, ...}}, but found no {TARGET} among "
            f"{', '.join(values) or 'no keys'}."
        )
    base = CONFIG_DIR / group / BASE
    config = OmegaConf.merge(OmegaConf.load(base) if base.is_file() else {}, values)
    if not isinstance(config, DictConfig):
        raise TypeError("Expected keys.")
    return config, _snake(target.rpartition(".")[2])


def _plain(values: Any) -> dict[str, Any]:
    """Turn the grammar's quoted keys into texts."""
    return {str(key): value for key, value in values.items()}


def _snake(name: str) -> str:
    """Name a choice by its class, as files are named: ``MyTrays`` is ``my_trays``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
