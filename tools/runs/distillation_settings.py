"""What the config of a distillation stands for: recipe, student and teachers."""

from __future__ import annotations

from dataclasses import fields
from operator import ge, gt
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import load_file

from models.errors import keys_under
from models.features.backbones import Backbone
from models.features.distillation_recipe import Recipe
from models.features.loupe_net import CHANNELS, HALVING, WEIGHTS, shape_of
from models.features.students import Beginning, LoupeNetStudent, PatchDescriptionStudent
from models.features.teachers import Teachers
from tools.configuring.side_by_side import NETWORKS
from tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.features.students import Student

SHAPE = ("hidden", "out_channels", "channels", "halving")  # of a LoupeNet
THINNED = "mobilenetv2_100"  # the network that a LoupeNet can be cut out of


def read_recipe(config: DictConfig) -> Recipe:
    """Take the recipe's keys from a config.

    Raises:
        ConfigError: One is out of range.
    """
    try:
        return Recipe(**{field.name: config[field.name] for field in fields(Recipe)})
    except ValueError as error:
        raise ConfigError(str(error)) from error


def build_student(config: DictConfig) -> Student:
    """Say what shall learn.

    Raises:
        ConfigError: It cannot be built.
    """
    if config.student != LoupeNetStudent.name:
        return PatchDescriptionStudent(config.student)
    shape = {key: list(config[key]) for key in SHAPE}
    begun, seed = beginning(config)
    student = LoupeNetStudent(begun=begun, seed=seed, **shape)
    try:
        student.build()
    except (ValueError, TypeError, RuntimeError) as error:
        raise ConfigError(f"Expected {', '.join(SHAPE)} to make a LoupeNet, but found: {error}") from error
    return student


def beginning(config: DictConfig) -> tuple[Beginning, Path]:
    """Tell with which weights a LoupeNet begins, and from which file it grows.

    Raises:
        ConfigError: It cannot, or start is none of what it may be.
    """
    start = str(config.start)
    if start.endswith(".safetensors"):
        if not Path(start).expanduser().is_file():
            raise ConfigError(f"Expected start to be a file of weights, but found no {start}.")
        file = Path(start).expanduser()
        return "shrunk" if _is_larger(_shape_in(file), config) else "grown", file
    if start not in {"auto", "thinned", "grown", "random"}:
        raise ConfigError(
            f"Expected start to be auto, thinned, grown, random or a .safetensors file, but found {start!r}."
        )
    if start == "auto":
        start = "grown" if _may_grow(config) else "random" if _why_not_thinned(config) else "thinned"
    elif start == "thinned" and (why := _why_not_thinned(config)):
        raise ConfigError(f"Expected start=thinned to have {why}; set start=grown, or teacher=mobilenetv2.")
    return cast("Beginning", start), WEIGHTS


def _shape_in(file: Path) -> dict[str, list[int]]:
    """Read the shape of the LoupeNet in a file.

    Raises:
        ConfigError: There is none.
    """
    try:
        return shape_of(load_file(file))
    except Exception as error:  # of any reader
        raise ConfigError(f"Expected {file} to hold the weights of a LoupeNet, but found: {error}") from error


def _is_larger(shape: Mapping[str, Sequence[int]], config: DictConfig) -> bool:
    """Tell whether a network has more blocks than the one that is asked for, or wider ones in the same places."""
    theirs, ours = shape["hidden"], list(config.hidden)
    if len(theirs) != len(ours) or list(config.halving) != list(shape["halving"]):
        return len(theirs) > len(ours)
    return any(map(gt, theirs, ours))


def _may_grow(config: DictConfig) -> bool:
    """Tell whether a LoupeNet of this shape can grow out of the one that ships."""
    smaller = _shape_in(WEIGHTS)
    pairs = [(list(config[key]), smaller[key]) for key in ("hidden", "channels")]
    nowhere_narrower = all(len(ours) == len(theirs) and all(map(ge, ours, theirs)) for ours, theirs in pairs)
    return nowhere_narrower and list(config.halving) == smaller["halving"]


def _why_not_thinned(config: DictConfig) -> str:
    """Say what keeps a LoupeNet from being cut out of its teacher; nothing where it can be."""
    first, *others = teachers_of(config).values()
    if others:
        return f"one teacher, but found {1 + len(others)}"
    if first.name != THINNED or list(first.layers) != [1, 2, 3]:
        return f"the teacher {THINNED} with layers [1, 2, 3], but found {first.name} with {list(first.layers)}"
    cut: Mapping[str, Sequence[int]] = {"channels": CHANNELS, "halving": HALVING}
    for key, wanted in cut.items():
        if list(config[key]) != list(wanted):
            return f"{key}={list(wanted)}, as that teacher has, but found {list(config[key])}"
    return ""


def teachers_of(config: DictConfig) -> dict[str, DictConfig]:
    """Return the settings of each teacher by its key: one under ``teacher``, or several beneath it."""
    if NETWORKS not in config.teacher:
        return {"teacher": config.teacher}
    return {f"teacher.{NETWORKS}.{name}": settings for name, settings in config.teacher[NETWORKS].items()}


def build_teachers(config: DictConfig) -> Teachers:
    """Build the teachers; errors name their keys.

    Raises:
        ConfigError: They do not go together.
        WeightsError: The weights of one cannot be had.
    """
    enlarged = config.enlarged or False
    if enlarged not in (True, False, "only"):
        raise ConfigError(f"Expected enlarged to be true, only or null, but found {enlarged!r}.")
    built = []
    for place, settings in teachers_of(config).items():
        arguments: Any = OmegaConf.to_container(settings, resolve=True)
        with keys_under(place):
            built.append(Backbone(**arguments | {"mirrored": config.mirrored or settings.get("mirrored", False)}))
        built[-1].network.to(
            memory_format=torch.contiguous_format
        )  # in which the first weights that shipped were learnt, to the bit
    try:
        return Teachers(built, enlarged=enlarged)
    except ValueError as error:
        raise ConfigError(str(error)) from error
