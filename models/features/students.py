"""Networks that ``distillation`` can teach: what they ask of a teacher, and how they are kept.

Shape letters: B batch, H and W image height and width.
"""

from __future__ import annotations

import json
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn

from .joined import join_maps
from .loupe_net import LoupeNet, save_loupe_net
from .patch_description import PATCH_DESCRIPTION
from .thinning import thin
from .weight_files import write_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from .backbones import Backbone
    from .decorrelation import Decorrelation
    from .distillation import Distilled, Network, Start


class Student(Protocol):
    """A kind of network that can be taught."""

    name: str

    def build(self) -> nn.Module:
        """Build one with random weights, from (x - 0.5) / 0.5 to maps."""

    def lessons(self, teacher: Backbone) -> Network:
        """Turn a teacher's maps to as many as the student has."""

    def start(self, teacher: Backbone) -> Start | None:
        """Say how to find the first weights in the teacher; None: they are random."""

    def save(self, taught: Distilled, path: Path, facts: Mapping[str, str]) -> None:
        """Write what was learnt, in half precision, and ``facts`` beside it."""


class LoupeNetStudent:
    """LoupeNet, of whatever size; it takes one map of the teacher for each of its own.

    Its output channels are those of the network that ships, whatever the teacher has, so that its weights fit anywhere.

    Args:
        hidden: Hidden channels of its blocks.
        thinned: True to cut it out of the teacher, which must be a MobileNetV2; False for random weights.
    """

    name = "loupe_net"

    def __init__(self, hidden: Sequence[int], thinned: bool) -> None:
        self.hidden, self.thinned = tuple(hidden), thinned

    def build(self) -> LoupeNet:
        """Build one; batch norm helps random weights only."""
        return LoupeNet(self.hidden, batch_norm=not self.thinned)

    def lessons(self, teacher: Backbone) -> Network:
        """Take the teacher as it is."""
        return teacher

    def start(self, teacher: Backbone) -> Start | None:
        """Cut the first weights out of the teacher."""
        if not self.thinned:
            return None
        return lambda crops_B3HW, bases: thin(teacher.network, teacher.normalize(crops_B3HW), self.hidden, bases)

    def save(self, taught: Distilled, path: Path, facts: Mapping[str, str]) -> None:
        """Write the folded network, its maps as far apart as the teacher's."""
        if not isinstance(taught.student, LoupeNet):
            raise TypeError(f"Expected a LoupeNet, but got {type(taught.student).__name__}.")
        save_loupe_net(restored(taught.student, taught.basis), path, facts)


def restored(student: LoupeNet, basis: Sequence[Decorrelation]) -> LoupeNet:
    """Copy a LoupeNet that gives maps in a basis, its heads changed so that distances are again those of the teacher.

    It learns with variances drawn together. Patches are best compared with the variances, and the weights of the maps,
    that the teacher's own training found.
    """
    copy, state = deepcopy(student), student.state_dict()
    for index, change in enumerate(basis):
        weight, bias = f"heads.{index}.weight", f"heads.{index}.bias"
        restoring_DD = change.restoring().to(state[weight])
        state[weight] = torch.einsum("dchw,de->echw", state[weight], restoring_DD)
        state[bias] = state[bias] @ restoring_DD
    copy.load_state_dict(state)
    return copy


class PatchDescriptionStudent:
    """A patch description network; it takes all maps of the teacher, joined on the finest grid.

    Args:
        name: ``pdn_s`` or ``pdn_m``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.build = partial(_Normalised, name)

    def lessons(self, teacher: Backbone) -> Network:
        """Join the teacher's maps into what the student learns."""
        return lambda image_B3HW: [join_maps(teacher(image_B3HW))]

    def start(self, teacher: Backbone) -> None:
        """Begin with random weights."""

    def save(self, taught: Distilled, path: Path, facts: Mapping[str, str]) -> None:
        """Write the network, with or without padding the same."""
        if not isinstance(taught.student, _Normalised):
            raise TypeError(f"Expected a patch description network, but got {type(taught.student).__name__}.")
        write_weights(taught.student.network.state_dict(), path, {**facts, "network": json.dumps({"name": self.name})})


class _Normalised(nn.Module):
    """A patch description network that takes what distillation gives, and normalises it as ImageNet's images are."""

    mean: Tensor
    std: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        self.network: nn.Module = PATCH_DESCRIPTION[name](padding=True)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, x_B3HW: Tensor) -> list[Tensor]:
        """Return the features of images."""
        maps: list[Tensor] = self.network((0.5 * x_B3HW + 0.5 - self.mean) / self.std)
        return maps
