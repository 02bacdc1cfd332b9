"""A distillation from its config to weights and their card: the heavy half of ``loupe distill``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf
from torch.utils.tensorboard import SummaryWriter

from datamodules.errors import DataError
from datamodules.files.whole_files import write_whole
from datamodules.unlabelled.crops import CropSource, hold_out, read_images
from models.features.distillation import distill
from tools.errors import ConfigError
from tools.signals import keeping_note

from .distillation_card import card
from .distillation_settings import SHAPE, build_student, build_teachers, read_recipe
from .ownership import sole_writer
from .run_files import CONFIG, TENSORBOARD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datamodules.unlabelled.procedural import RgbImage
    from models.features.distillation_recipe import Recipe
    from models.features.students import Student
    from models.features.teachers import Teachers

CHECKPOINT, CARD = "checkpoint.ckpt", "card.md"
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
    teacher = build_teachers(config).to(choose_device(config.device))
    out = Path(config.out).expanduser()
    with sole_writer(out), keeping_note(lambda: how_to_go_on(out)):
        keep_settings(out, settings_of(config, [one.origin for one in teacher.backbones()]))
        return _distill(config, recipe, student, teacher, out)


def how_to_go_on(out: Path) -> str:
    """Say what a distillation that is ended leaves."""
    there = "every whole round is kept" if (out / CHECKPOINT).is_file() else "no round was whole yet"
    return f"{there} in {out}; the same command goes on"


def _distill(config: DictConfig, recipe: Recipe, student: Student, teacher: Teachers, out: Path) -> Path:
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
                networks=student.networks(teacher),
                checkpoint=out / CHECKPOINT,
                writer=writer,
                device=choose_device(config.device),
            )
        except ValueError as error:  # layers that do not suit the student, images that have changed
            raise ConfigError(str(error)) from error
    weights = out / f"{student.name}.safetensors"
    part = weights.with_name(weights.name + ".part")
    origins = [one.origin for one in teacher.backbones()]
    student.save(result, part, facts(config, origins, result.held_out[-1]))
    part.replace(weights)  # whole or not at all
    text = card(config, student.name, weights, origins, crops.counts, result.held_out)
    write_whole(out / CARD, text.encode())
    print(f"Weights {weights}, held-out loss {result.held_out[-1]:.3f} (1 is what the mean would give)")
    print(f"Card {out / CARD}")
    return weights


def facts(config: DictConfig, origins: Sequence[Mapping[str, str]], held_out: float) -> dict[str, str]:
    """Say what goes into the file of weights: how it was made, without anybody's paths."""
    recipe = {key: config[key] for key in config if key not in _NOT_SETTINGS | {"data", "teacher", *SHAPE}}
    recipe["start"] = Path(config.start).name
    return {
        "recipe": json.dumps(recipe | {"threads": torch.get_num_threads()}),
        "teacher": " + ".join(origin["name"] for origin in origins),
        "teacher_sha256": " + ".join(origin.get("sha256", "") for origin in origins),
        "held_out_loss": f"{held_out:.4f}",
    }


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


def settings_of(config: DictConfig, origins: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Say what decides the result, in plain values: the config, and what the teachers' files held."""
    resolved: Any = OmegaConf.to_container(config, resolve=True)
    plain = {key: value for key, value in resolved.items() if key not in _NOT_SETTINGS}
    digests = [origin.get("sha256") for origin in origins]
    return plain | {"teacher_sha256": digests[0] if len(digests) == 1 else digests}


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
