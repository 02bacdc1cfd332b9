"""Classes that lie in another room than when a run was written: its config names them as they were called then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from omegaconf import OmegaConf

from .trust import TARGET

if TYPE_CHECKING:
    from omegaconf import DictConfig

MOVED = {
    "callbacks.calibration.Calibration": "callbacks.decisions.calibration.Calibration",
    "callbacks.defects.region_rules.RegionRules": "callbacks.decisions.region_rules.RegionRules",
    "callbacks.epoch_pictures.EpochPictures": "callbacks.training.epoch_pictures.EpochPictures",
    "callbacks.evaluation.Evaluation": "callbacks.measures.evaluation.Evaluation",
    "models.tiled.Tiling": "models.components.tiled.Tiling",
}
"""Every class that a config named in a release, and that has moved since."""


def with_new_names(config: DictConfig) -> DictConfig:
    """Return the config of a run, its classes named as they are called today."""
    values = OmegaConf.to_container(config, resolve=False)
    waiting: list[Any] = [values]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict):
            if isinstance(target := holder.get(TARGET), str):
                holder[TARGET] = MOVED.get(target, target)
            waiting.extend(holder.values())
        elif isinstance(holder, list):
            waiting.extend(holder)
    return cast("DictConfig", OmegaConf.create(values))
