"""Runs as parts of a model: ``model.inclusions=RUN`` becomes network, threshold and enhancement of that run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from omegaconf import DictConfig, OmegaConf

from callbacks.decisions.calibration import calibration_of
from tools.errors import ConfigError

from .checkpoint import read_checkpoint, restore
from .reading import reading_of
from .run_folder import RunFolder

if TYPE_CHECKING:
    from models.base import InspectionModel

PARTS = ("inclusions", "boundaries")
NOTED = "taken_from"  # key of models that are made of runs: where their parts came from


def take_runs(config: DictConfig) -> dict[str, InspectionModel]:
    """Put what runs are made of in the place of their names, in the config of a model.

    Args:
        config: Of the model; changed.

    Returns:
        Their trained modules, by key; none where the model is not made of runs.

    Raises:
        ConfigError: There is no run, it cannot be read, or its model marks no pixels.
    """
    if NOTED not in config:
        return {}
    taken: dict[str, InspectionModel] = {}
    enhance, places = dict(config.get("enhance") or {}), dict(config.get(NOTED) or {})
    for key in PARTS:
        if not isinstance(config.get(key), DictConfig):
            places[key] = str(config.get(key))
        elif key not in places:
            raise ConfigError(f"Expected model.{key} to be a run, but found a model that nobody has trained.")
        taken[key], threshold, whole = marking_run(places[key], f"model.{key}")
        config[key] = OmegaConf.create(OmegaConf.to_container(whole.model, resolve=True))
        enhance[key] = reading_of(whole.data).enhance.to_plain()
        if key == "inclusions" and config.get("inclusion_threshold") is None:
            config.inclusion_threshold = threshold
    config.enhance, config[NOTED] = enhance, places
    return taken


def marking_run(run: str, key: str) -> tuple[InspectionModel, float, DictConfig]:
    """Restore the model of a run that marks pixels; return it, its threshold in raw units, and the config of the run.

    Args:
        run: Its folder, or a checkpoint.
        key: That named it, for errors.

    Raises:
        ConfigError: There is no run, it cannot be read, or its model marks no pixels.
    """
    checkpoint = read_checkpoint(run if run.endswith(".ckpt") else RunFolder.open(run).best_checkpoint)
    module = restore(checkpoint).eval()
    threshold = float(calibration_of(module).pixel_threshold)
    if not np.isfinite(threshold):
        raise ConfigError(
            f"Expected {key} to be a run whose model marks pixels, with a threshold for them, but {run} has none; "
            "train one on images with masks, such as experiment=metallography_inclusions."
        )
    return module, threshold, checkpoint.config
