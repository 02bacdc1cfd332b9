"""How a run finds zones in prediction: as in its training, with the scales that its checkpoint keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from datamodules.errors import DataError
from datamodules.samples.found_zones import FIND
from tools.errors import ConfigError
from tools.runner.zoning import Zoning

if TYPE_CHECKING:
    from callbacks.decisions.calibration import Calibration
    from datamodules.zones.kinds import Sizes


def zoning_of(config: DictConfig, calibration: Calibration) -> Zoning | None:
    """Return what finds zones, where the run's config asks for it (``data.zones=find``); None where it does not.

    Raises:
        ConfigError: A size means nothing.
    """
    if config.data.get("zones") != FIND:
        return None
    zoning = Zoning(*sizes_of(config), calibration.scales)
    try:
        zoning.check()
    except (DataError, TypeError) as error:
        raise ConfigError(str(error)) from error
    return zoning


def sizes_of(config: DictConfig) -> tuple[Sizes, Sizes]:
    """Return the diameters of core and cladding that a run's data were given: one each, or one by kind."""
    core, cladding = (_plain(config.data.get(key)) for key in ("core_um", "cladding_um"))
    return core, cladding


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if isinstance(value, DictConfig) else value
