"""A distillation from its config to weights and their card: the heavy half of ``loupe distill``."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf
from torch.utils.tensorboard import SummaryWriter

from datamodules.errors import DataError
from datamodules.files.whole_files import write_whole
from datamodules.unlabelled.crops import CropSource, hold_out, read_images
from models.errors import keys_under
from models.features.backbones import Backbone
from models.features.distillation import distill
from models.features.distillation_recipe import Recipe
from models.features.students import LoupeNetStudent, PatchDescriptionStudent
from tools.errors import ConfigError
from tools.signals import keeping_note

from .distillation_card import card
from .ownership import sole_writer
from .run_files import CONFIG, TENSORBOARD

if TYPE_CHECKING:
    from datamodules.unlabelled.procedural import RgbImage
    from models.features.students import Student

CHECKPOINT, CARD = "checkpoint.ckpt", "card.md"
THINNED = "mobilenetv2_100"  # the network that a LoupeNet can be cut out of
_NOT_SETTINGS = {"out", "device", "choices"}  # what may change from one call to the next


class Crops(NamedTuple):
    """Where crops come from, those that only measure, and how many images of each folder serve for what."""

    source: CropSource
    held_out: RgbImage
    counts: dict[str, tuple[int, int]]


def distill_images(config: DictConfig) -> Path:
    """Distill what ``config`` describes, from the beginning or from where it was stopped.

    Returns:
        The file of weights.

    Raises:
        ConfigError: A value is wrong, or ``out`` holds another distillation.
        DataError: There are no images.
        WeightsError: The teacher's weights cannot be had.
    """
    recipe = read_recipe(config)
    student = build_student(config)
    teacher = build_teacher(config).to(choose_device(config.device))
    out = Path(config.out).expanduser()
    with sole_writer(out), keeping_note(lambda: how_to_go_on(out)):
        keep_settings(out, settings_of(config, teacher.origin))
        return _distill(config, recipe, student, teacher, out)


def how_to_go_on(out: Path) -> str:
    """Say what a distillation that is ended leaves."""
    there = "every whole round is kept" if (out / CHECKPOINT).is_file() else "no round was whole yet"
    return f"{there} in {out}; the same command goes on"


def _distill(config: DictConfig, recipe: Recipe, student: Student, teacher: Backbone, out: Path) -> Path:
    crops = gather(config)
    print(describe(crops))
    with SummaryWriter(str(out / TENSORBOARD)) as writer:
        try:
            result = distill(
                student.lessons(teacher),
                student.build,
                crops.source,
                crops.held_out,
                recipe,
                start=student.start(teacher),
                checkpoint=out / CHECKPOINT,
                writer=writer,
                device=choose_device(config.device),
            )
        except ValueError as error:  # layers that do not suit the student, images that have changed
            raise ConfigError(str(error)) from error
    weights = out / f"{student.name}.safetensors"
    part = weights.with_name(weights.name + ".part")
    student.save(result, part, facts(config, teacher.origin, result.held_out[-1]))
    part.replace(weights)  # whole or not at all
    text = card(config, student.name, weights, teacher.origin, crops.counts, result.held_out)
    write_whole(out / CARD, text.encode())
    print(f"Weights {weights}, held-out loss {result.held_out[-1]:.3f} (1 is what the mean would give)")
    print(f"Card {out / CARD}")
    return weights


def facts(config: DictConfig, origin: dict[str, str], held_out: float) -> dict[str, str]:
    """Say what goes into the file of weights: how it was made, without anybody's paths."""
    recipe = {key: config[key] for key in config if key not in _NOT_SETTINGS | {"data", "teacher", "hidden"}}
    return {
        "recipe": json.dumps(recipe | {"threads": torch.get_num_threads()}),
        "teacher": origin["name"],
        "teacher_sha256": origin.get("sha256", ""),
        "held_out_loss": f"{held_out:.4f}",
    }


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
    student = LoupeNetStudent(list(config.hidden), starts_thinned(config))
    try:
        student.build()
    except (ValueError, TypeError, RuntimeError) as error:
        raise ConfigError(f"Expected hidden to make a LoupeNet, but found: {error}") from error
    return student


def starts_thinned(config: DictConfig) -> bool:
    """Tell whether a LoupeNet is cut out of its teacher.

    Raises:
        ConfigError: It cannot be, or start is none of what it may be.
    """
    able = config.teacher.name == THINNED and list(config.teacher.layers) == [1, 2, 3]
    if config.start not in {"auto", "thinned", "random"}:
        raise ConfigError(f"Expected start to be auto, thinned or random, but found {config.start!r}.")
    if config.start == "thinned" and not able:
        raise ConfigError(
            f"Expected the teacher of start=thinned to be {THINNED} with layers [1, 2, 3], but found "
            f"{config.teacher.name} with {list(config.teacher.layers)}; set start=random, or teacher=mobilenetv2."
        )
    return able and config.start != "random"


def build_teacher(config: DictConfig) -> Backbone:
    """Build the teacher; errors name its keys.

    Raises:
        WeightsError: Its weights cannot be had.
    """
    arguments: Any = OmegaConf.to_container(config.teacher, resolve=True)
    with keys_under("teacher"):
        teacher = Backbone(**arguments)
    teacher.network.to(memory_format=torch.contiguous_format)  # in which the weights that ship were learnt, to the bit
    return teacher


def choose_device(name: str) -> torch.device:
    """Take a GPU where there is one, unless told otherwise.

    Raises:
        ConfigError: There is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"Expected device to be auto, cpu or a GPU that is there, but found {name}: {reason}"
        ) from error


def settings_of(config: DictConfig, origin: dict[str, str]) -> dict[str, Any]:
    """Say what decides the result, in plain values: the config, and what the teacher's file held."""
    resolved: Any = OmegaConf.to_container(config, resolve=True)
    plain = {key: value for key, value in resolved.items() if key not in _NOT_SETTINGS}
    return plain | {"teacher_sha256": origin.get("sha256")}


def keep_settings(out: Path, settings: dict[str, Any]) -> None:
    """Write the settings of a new distillation to ``out``, or compare them with those of the one begun there.

    Raises:
        ConfigError: They differ; names every key.
    """
    path = out / CONFIG
    if not path.is_file() or not (out / CHECKPOINT).is_file():
        write_whole(path, OmegaConf.to_yaml(OmegaConf.create(settings)).encode())
        return
    before: Any = OmegaConf.to_container(OmegaConf.load(path))
    changed = [f"{key}={before.get(key)} (now {now})" for key, now in settings.items() if before.get(key) != now]
    if changed:
        raise ConfigError(
            f"Expected to go on with the distillation in {out}, but it was begun with {', '.join(changed)}; repeat "
            "those settings, or set out= to another folder to begin anew."
        )


def gather(config: DictConfig) -> Crops:
    """Read the images, and set some aside to measure by.

    Raises:
        DataError: A folder has no image, or nothing may be drawn either.
    """
    folders = [config.data] if isinstance(config.data, str) else list(config.data)
    images = read_images(folders, config.longest_side, config.limit)
    learnt, watched = hold_out(images, config.held_out_share)
    if not learnt and not config.drawn_share:
        raise DataError("Expected pictures to learn from, but found data=[] and drawn_share=0; set data=PATH.")
    source = _source(config, learnt)
    measured = _source(config, watched)  # too few images to set one aside: those drawn by rule are endless
    held_out = measured.draw(config.held_out_crops, [config.seed + 1, 0])
    counts = {name: (len(some), len(watched.get(name, []))) for name, some in learnt.items()}
    return Crops(source, held_out, counts)


def _source(config: DictConfig, images: dict[str, list[RgbImage]]) -> CropSource:
    drawn_share = config.drawn_share if images else 1.0
    return CropSource(images, config.crop_size, drawn_share, config.patch_share)


def describe(crops: Crops) -> str:
    """Say how many images serve for what."""
    if not crops.counts:
        return "Learning from drawn pictures alone"
    learnt, held = (sum(pair[index] for pair in crops.counts.values()) for index in (0, 1))
    of = "1 folder" if len(crops.counts) == 1 else f"{len(crops.counts)} folders"
    return f"Learning from {learnt} pictures of {of}; {held} more measure the loss"
