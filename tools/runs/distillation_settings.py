"""What the config of a distillation stands for: recipe, student and teachers."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

import torch
from omegaconf import DictConfig, OmegaConf

from models.errors import keys_under
from models.features.backbones import Backbone
from models.features.distillation_recipe import Recipe
from models.features.loupe_net import CHANNELS
from models.features.students import LoupeNetStudent, PatchDescriptionStudent
from models.features.teachers import Teachers
from tools.configuring.side_by_side import NETWORKS
from tools.errors import ConfigError

if TYPE_CHECKING:
    from models.features.students import Student

SHAPE = ("hidden", "out_channels", "channels")  # of a LoupeNet
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
    student = LoupeNetStudent(begun=beginning(config), **{key: list(config[key]) for key in SHAPE})
    try:
        student.build()
    except (ValueError, TypeError, RuntimeError) as error:
        raise ConfigError(
            f"Expected hidden, out_channels and channels to make a LoupeNet, but found: {error}"
        ) from error
    return student


def beginning(config: DictConfig) -> Literal["thinned", "grown", "random"]:
    """Tell with which weights a LoupeNet begins.

    Raises:
        ConfigError: It cannot, or start is none of what it may be.
    """
    if config.start not in {"auto", "thinned", "grown", "random"}:
        raise ConfigError(f"Expected start to be auto, thinned, grown or random, but found {config.start!r}.")
    if config.start in {"grown", "random"}:
        return "grown" if config.start == "grown" else "random"
    why = _why_not_thinned(config)
    if config.start == "thinned" and why:
        raise ConfigError(f"Expected start=thinned to have {why}; set start=random, or teacher=mobilenetv2.")
    return "random" if why else "thinned"


def _why_not_thinned(config: DictConfig) -> str:
    """Say what keeps a LoupeNet from being cut out of its teacher; nothing where it can be."""
    first, *others = teachers_of(config).values()
    if others:
        return f"one teacher, but found {1 + len(others)}"
    if first.name != THINNED or list(first.layers) != [1, 2, 3]:
        return f"the teacher {THINNED} with layers [1, 2, 3], but found {first.name} with {list(first.layers)}"
    if list(config.channels) != list(CHANNELS):
        return f"channels={list(CHANNELS)}, as that teacher has, but found {list(config.channels)}"
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
    built = []
    for place, settings in teachers_of(config).items():
        arguments: Any = OmegaConf.to_container(settings, resolve=True)
        with keys_under(place):
            built.append(Backbone(**arguments))
        built[-1].network.to(
            memory_format=torch.contiguous_format
        )  # in which the first weights that shipped were learnt, to the bit
    try:
        return Teachers(built)
    except ValueError as error:
        raise ConfigError(str(error)) from error
