"""How a run lists defects: for its own predictions, and for those of its bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.build import build

from .runner.measuring import Measuring

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from callbacks.calibration import Calibration


def measuring_of(config: DictConfig, calibration: Calibration) -> Measuring:
    """Take the rules from the run's config, and the peaks of good pictures from its calibration."""
    rules = build(config.callbacks.evaluation.defects, "callbacks.evaluation.defects")
    return Measuring(rules, sorted(calibration.good_peaks()), config.data.get("um_per_pixel"))
