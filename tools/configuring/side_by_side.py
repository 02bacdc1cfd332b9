"""Several choices of a group at once: ``backbone=[mobilenetv2,efficientnet_lite0]``, side by side under their names.

Teachers of ``loupe distill`` can be chosen so, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hydra.core.override_parser.types import Override

GROUPS = ("backbone", "teacher")  # what their choices hold is alike, and several of them are taken for one
NETWORKS = "networks"


def lists_choices(override: Override) -> bool:
    """Tell whether an override names choices that shall stand side by side."""
    return override.key_or_group in GROUPS and isinstance(override.value(), list)


def named_choices(override: Override) -> list[str]:
    """Return the choice that an override names, or several of them.

    Raises:
        ConfigError: A list is empty, or names a choice twice.
    """
    value = override.value()
    if not lists_choices(override) or not isinstance(value, list):
        return [str(value)]
    names = [str(name) for name in value]
    if not names or len(set(names)) < len(names):
        found = f"{max(names, key=names.count)} twice" if names else "none"
        raise ConfigError(
            f"Expected {override.key_or_group} to be one choice, or a list of different ones, but found {found}."
        )
    return names


def side_by_side(override: Override, compose: Callable[[str], DictConfig]) -> tuple[DictConfig, str]:
    """Put the keys of several choices side by side, each under its name; those of a single one stay as they are.

    Args:
        override: Its choices are there.
        compose: From a choice to its keys.
    """
    names = named_choices(override)
    if len(names) == 1:
        return compose(names[0]), names[0]
    return OmegaConf.create({NETWORKS: {name: compose(name) for name in names}}), f"[{','.join(names)}]"
