"""Networks that ``distillation`` can teach: what they ask of a teacher, and how they are kept.

Shape letters: B batch, H and W image height and width.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Protocol

import torch
from safetensors.torch import save_file
from torch import nn

from .loupe_net import LoupeNet, save_loupe_net
from .maps import join_maps
from .patch_description import PATCH_DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from .distillation import Network


class Student(Protocol):
    """A kind of network that can be taught."""

    name: str

    def build(self) -> nn.Module:
        """Build one with random weights, from (x - 0.5) / 0.5 to maps."""

    def lessons(self, teacher: Network) -> Network:
        """Turn a teacher's maps to as many as the student has."""

    def save(self, student: nn.Module, path: Path) -> None:
        """Write what it has learnt, in half precision."""


class LoupeNetStudent:
    """LoupeNet, of whatever size; it takes one map of the teacher for each of its own.

    Its output channels are those of the network that ships, whatever the teacher has, so that its weights fit anywhere.

    Args:
        widths: Channels at strides 4, 8 and 16.
        depths: Blocks there.
    """

    name = "loupe_net"

    def __init__(self, widths: Sequence[int], depths: Sequence[int]) -> None:
        self.build = partial(LoupeNet, tuple(widths), tuple(depths), batch_norm=True)

    def lessons(self, teacher: Network) -> Network:
        """Take the teacher as it is."""
        return teacher

    def save(self, student: nn.Module, path: Path) -> None:
        """Write the folded network."""
        if not isinstance(student, LoupeNet):
            raise TypeError(f"Expected a LoupeNet, but got {type(student).__name__}.")
        save_loupe_net(student, path)


class PatchDescriptionStudent:
    """A patch description network; it takes all maps of the teacher, joined on the finest grid.

    Args:
        name: ``pdn_s`` or ``pdn_m``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.build = partial(_Normalised, name)

    def lessons(self, teacher: Network) -> Network:
        """Join the teacher's maps."""
        return lambda image_B3HW: [join_maps(teacher(image_B3HW))]

    def save(self, student: nn.Module, path: Path) -> None:
        """Write the network, with or without padding the same."""
        if not isinstance(student, _Normalised):
            raise TypeError(f"Expected a patch description network, but got {type(student).__name__}.")
        state = {key: value.detach().cpu().half().contiguous() for key, value in student.network.state_dict().items()}
        save_file(state, path, {"network": json.dumps({"name": self.name})})


class _Normalised(nn.Module):
    """A patch description network that takes what distillation gives, and normalises it as ImageNet's pictures are."""

    mean: Tensor
    std: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        self.network: nn.Module = PATCH_DESCRIPTION[name](padding=True)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, x_B3HW: Tensor) -> list[Tensor]:
        """Describe pictures."""
        maps: list[Tensor] = self.network((0.5 * x_B3HW + 0.5 - self.mean) / self.std)
        return maps
