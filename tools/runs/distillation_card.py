"""The card beside distilled weights: what they are, where they come from, and how to use them."""

from __future__ import annotations

import hashlib
import importlib.metadata
from dataclasses import fields
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from models.features.distillation_recipe import Recipe
from models.features.loupe_net import OUT_CHANNELS, shape_of
from models.features.students import LoupeNetStudent

from .distillation_settings import SHAPE, teachers_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from omegaconf import DictConfig

OTHER_KEYS = (
    "mirrored",
    "enlarged",
    "limit",
    "longest_side",
    "crop_size",
    "drawn_share",
    "patch_share",
    "held_out_share",
    "held_out_crops",
)


def card(
    config: DictConfig,
    student: str,
    weights: Path,
    origins: Sequence[Mapping[str, str]],
    counts: Mapping[str, tuple[int, int]],
    held_out: Sequence[float],
) -> str:
    """Write the card, as Markdown.

    Args:
        config: Of the distillation.
        student: Name of the network.
        weights: Its file.
        origins: Of the teachers' weights.
        counts: For every folder, how many images were learnt from, and how many only measured the loss.
        held_out: Loss on held-out crops by round.
    """
    size = sum(value.numel() for value in load_file(weights).values())
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    taught = [
        _teacher(origin, list(one.layers)) for origin, one in zip(origins, teachers_of(config).values(), strict=True)
    ]
    holds = "its licence holds" if len(taught) == 1 else "their licences hold"
    rows = {
        "File": f"`{weights.name}`, {weights.stat().st_size:,} bytes, half precision, sha256 `{digest}`",
        "Network": f"{student}, {size:,} parameters",
        "Teacher": f"{' and '.join(taught)}; {holds} for what is learnt from it",
        "Held-out loss": f"{held_out[-1]:.4f} at the end; 1 is what the mean would give",
        "Made by": f"Loupe {importlib.metadata.version('loupe-inspect')}, torch {torch.__version__}",
    }
    facts = "\n".join(f"| {name} | {text} |" for name, text in rows.items())
    folders = "\n".join(f"| `{name}` | {learnt} | {held} |" for name, (learnt, held) in counts.items())
    images = f"\n| folder | learnt from | held out |\n|---|---|---|\n{folders}\n" if counts else ""
    recipe = [field.name for field in fields(Recipe) if field.name not in OTHER_KEYS]
    shape = ["start", *SHAPE] if student == LoupeNetStudent.name else []
    keys = " ".join(f"{key}={_value(config[key])}" for key in [*shape, *recipe, *OTHER_KEYS])
    sections = (
        f"# {weights.stem}: model card",
        "A feature network, distilled from a larger one on pictures without labels.",
        f"| | |\n|---|---|\n{facts}",
        f"## Pictures\n{images}\n{_drawn(config, counts)}",
        f"## Recipe\n\n```\n{keys}\n```",
        f"## Use\n\n```\n{usage(student, weights)}\n```",
    )
    return "\n\n".join(sections) + "\n"


def usage(student: str, weights: Path) -> str:
    """Say how to use the weights."""
    if student != LoupeNetStudent.name:
        return f"loupe train model=efficient_ad_{student[-1]} model.teacher.weights={weights} ..."
    channels = shape_of(load_file(weights))["out_channels"]
    options = "" if channels == list(OUT_CHANNELS) else f" 'backbone.options={{out_channels: {channels}}}'"
    return f"loupe train backbone=loupe backbone.weights={weights}{options} ..."


def _teacher(origin: Mapping[str, str], layers: list[int]) -> str:
    return ", ".join([*(f"`{key}={value}`" for key, value in origin.items()), f"`layers={layers}`"])


def _value(value: object) -> str:
    return "null" if value is None else str(value).replace(" ", "")


def _drawn(config: DictConfig, counts: Mapping[str, tuple[int, int]]) -> str:
    share = config.drawn_share if counts else 1.0
    return f"{100 * share:.0f} % of the crops come from pictures drawn by rule."
