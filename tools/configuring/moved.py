"""Classes and keys that are called otherwise than when a run was written: its config names them as they were then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from omegaconf import OmegaConf

from .trust import TARGET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omegaconf import DictConfig

MOVED = {
    "callbacks.calibration.Calibration": "callbacks.decisions.calibration.Calibration",
    "callbacks.defects.region_rules.RegionRules": "callbacks.decisions.region_rules.RegionRules",
    "callbacks.epoch_pictures.EpochPictures": "callbacks.training.epoch_pictures.EpochPictures",
    "callbacks.evaluation.Evaluation": "callbacks.measures.evaluation.Evaluation",
    "models.tiled.Tiling": "models.components.tiled.Tiling",
}
"""Every class that a config named in a release, and that has moved since."""

KEYS = {"callbacks.decisions.calibration.Calibration": {"least": "min_images"}}
"""What a class takes under another name than before."""


def with_new_names(config: DictConfig) -> DictConfig:
    """Return the config of a run, its classes and their keys named as they are called today."""
    values = OmegaConf.to_container(config, resolve=False)
    waiting: list[Any] = [values]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict):
            if isinstance(target := holder.get(TARGET), str):
                holder[TARGET] = MOVED.get(target, target)
                _rename(holder, KEYS.get(holder[TARGET], {}))
            waiting.extend(holder.values())
        elif isinstance(holder, list):
            waiting.extend(holder)
    return cast("DictConfig", OmegaConf.create(values))


def _rename(values: dict[Any, Any], names: Mapping[str, str]) -> None:
    """Rename keys in place, in their order; a name of today that is there already stays."""
    renamed = {names.get(key, key): value for key, value in values.items() if names.get(key) not in values}
    values.clear()
    values.update(renamed)
