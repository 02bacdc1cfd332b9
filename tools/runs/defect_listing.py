"""How a run lists defects: for its own predictions, and for those of its bundle."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tools.configuring.build import build
from tools.errors import ConfigError
from tools.runner.measuring import Measuring

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from callbacks.decisions.calibration import Calibration


def measuring_of(config: DictConfig, calibration: Calibration) -> Measuring:
    """Take the rules from the run's config, and the peaks of good images from its calibration."""
    rules = build(config.callbacks.evaluation.defects, "callbacks.evaluation.defects")
    return Measuring(rules, sorted(calibration.good_peaks()), scale_of(config))


def scale_of(config: DictConfig) -> float | None:
    """Take micrometres per pixel from the run's config, where anybody said.

    Raises:
        ConfigError: It is not a length.
    """
    scale = config.data.get("um_per_pixel")
    if scale is not None and (not isinstance(scale, int | float) or not 0 < scale < math.inf):
        raise ConfigError(f"Expected data.um_per_pixel to be above 0 and finite, or null, but found {scale!r}.")
    return scale
