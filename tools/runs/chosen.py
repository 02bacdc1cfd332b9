"""What was chosen for a run: the keys that its command set, beside the data and the model that every run has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from tools.configuring.config import groups, parse_override

if TYPE_CHECKING:
    from collections.abc import Sequence

ALWAYS = ("data", "model")
PLACES = frozenset({"out", "name", "id", "report", "repeat", "folds", "run"})
"""Keys that say where and how often, not what."""

Value = str | float | bool | None


def chosen_keys(config: DictConfig, overrides: Sequence[str]) -> dict[str, Value]:
    """Collect what was chosen, for a row of a table of runs.

    Args:
        config: Resolvable; a value is what the run became, not what was typed.
        overrides: Of the command.

    Returns:
        Choices of groups by name and values by key: text, numbers, true and false; lists as JSON. No class paths.
    """
    known = groups()
    keys = dict.fromkeys([*ALWAYS, *(parse_override(text).key_or_group for text in overrides)])
    found: dict[str, Value] = {}
    for key in keys:
        if key in known:
            found[key] = config.choices.get(key)
        elif key not in PLACES and not key.endswith("_target_"):
            found[key] = _plain(OmegaConf.select(config, key))
    return {key: value for key, value in found.items() if value is not None}


def _plain(value: Any) -> Value:
    """Give one value; lists and branches as JSON, without class paths."""
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    plain = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    return json.dumps(_without_paths(plain), separators=(",", ":"))  # as people type them


def _without_paths(value: Any) -> Any:
    """Name what a class path stands for by its last part."""
    if isinstance(value, list):
        return [_without_paths(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    rest = {key: _without_paths(entry) for key, entry in value.items() if key != "_target_"}
    if (path := value.get("_target_")) is None:
        return rest
    name = str(path).rpartition(".")[2]
    return {name: rest} if rest else name
