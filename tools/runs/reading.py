"""How a run reads files, from its config alone: prediction builds no data that it does not look at."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from omegaconf import ListConfig, OmegaConf

from datamodules.enhancing.enhancement import read_enhancement
from datamodules.files.fitting import SQUASH, require_fit
from datamodules.layer_places import LayerPlaces
from datamodules.print3d import Print3dDataModule
from datamodules.samples.dataset import Reading
from datamodules.zones.foreground import Foreground, read_foreground
from tools.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

PLACES = ("layer_pattern", "build_pattern", "machine_pattern", "job_pattern")


def places_of(data: DictConfig) -> LayerPlaces | None:
    """Say how the data of a run tell machine, job, build and layer; None where they are no layers of prints."""
    target = str(OmegaConf.select(data, "_target_"))
    if target.rpartition(".")[2] != Print3dDataModule.__name__:
        return None
    known = {entry.name: entry.default for entry in fields(Print3dDataModule)}
    values = {name: data.get(name, known[name]) for name in PLACES}  # runs of earlier versions lack some
    classes = [str(name).lower() for key in ("good", "unknown", "defective") for name in data.get(key, known[key])]
    return LayerPlaces(**values, classes=classes)


def reading_of(data: DictConfig) -> Reading:
    """Take the size of images and the white level from the keys of ``data``.

    Raises:
        ConfigError: One is missing, or means nothing.
        DataError: There is no such fit.
    """
    size = OmegaConf.select(data, "image_size")
    sides = list(size) if isinstance(size, ListConfig) else []
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise ConfigError(f"Expected data.image_size to be [height, width] in pixels, but found {size!r}.")
    white = OmegaConf.select(data, "white_level")
    if white is not None and not (isinstance(white, int | float) and 0 < white < float("inf")):
        raise ConfigError(f"Expected data.white_level to be above 0 and finite, or null, but found {white!r}.")
    fit = require_fit(OmegaConf.select(data, "fit") or SQUASH)  # runs of earlier versions have none
    entries, mode = OmegaConf.select(data, "enhance"), OmegaConf.select(data, "enhance_as")
    asked = OmegaConf.to_container(entries, resolve=True) if isinstance(entries, ListConfig) else None
    enhance = read_enhancement(asked if isinstance(asked, list) else [], mode or "replace")
    return Reading(sides[0], sides[1], white, enhance=enhance, fit=fit, foreground=foreground_of(data))


def foreground_of(data: DictConfig) -> Foreground | None:
    """Say how a run finds the part that alone counts; None where all of an image does.

    Raises:
        DataError: The keys mean nothing.
    """
    asked = OmegaConf.select(data, "foreground")  # runs of earlier versions have none
    margin = OmegaConf.select(data, "foreground_margin")
    plain = OmegaConf.to_container(asked) if isinstance(asked, ListConfig) else asked
    return read_foreground(plain, Foreground().margin if margin is None else margin)
