"""Networks that ``distillation`` can teach: what they ask of a teacher, and how they are kept.

Shape letters: B batch, H and W image height and width.
"""

from __future__ import annotations

import json
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import torch
from torch import nn

from .growing import grow, solve_heads
from .joined import join_maps
from .loupe_net import CHANNELS, HALVING, OUT_CHANNELS, WEIGHTS, LoupeNet, read_loupe_net, save_loupe_net
from .patch_description import BORDER, PATCH_DESCRIPTION, STRIDE, PatchDescription, fold_norms
from .thinning import shrink, thin
from .weight_files import write_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from .decorrelation import Decorrelation
    from .distillation import Distilled, Network, Start
    from .teachers import Teachers

Beginning: TypeAlias = Literal["thinned", "grown", "shrunk", "random"]

_GROWN_ON, _LEVELLED_ON = 128, 16  # crops; each gives a hundred samples at the coarsest stride


class Student(Protocol):
    """A kind of network that can be taught."""

    name: str

    def build(self) -> nn.Module:
        """Build one with random weights, from (x - 0.5) / 0.5 to maps."""

    def lessons(self, teacher: Teachers) -> Network:
        """Turn a teacher's maps to as many as the student has."""

    def networks(self, teacher: Teachers) -> list[list[int]]:
        """Tell for each of those maps how many channels each network gave."""

    def start(self, teacher: Teachers) -> Start | None:
        """Say how to find the first weights in the teacher; None: they are random."""

    def save(self, taught: Distilled, path: Path, facts: Mapping[str, str]) -> None:
        """Write what was learnt, in half precision, and ``facts`` beside it."""


class LoupeNetStudent:
    """LoupeNet, of whatever size; it takes one map of the teacher for each of its own.

    Its output channels are those of the network that ships, whatever the teacher has, so that its weights fit anywhere.

    Args:
        hidden: Hidden channels of its blocks.
        begun: ``thinned`` to cut it out of the teacher, which must be one MobileNetV2; ``grown`` to widen the network
            that ships; ``shrunk`` to cut it out of one; ``random`` for random weights.
        out_channels: Of its maps.
        channels: Between its blocks.
        halving: Which of its blocks halve the image.
        seed: What it grows from, or is cut out of: the file of a LoupeNet.
    """

    name = "loupe_net"

    def __init__(
        self,
        hidden: Sequence[int],
        begun: Beginning,
        out_channels: Sequence[int] = OUT_CHANNELS,
        channels: Sequence[int] = CHANNELS,
        halving: Sequence[int] = HALVING,
        seed: Path = WEIGHTS,
    ) -> None:
        self.begun, self.seed = begun, seed
        self.shape = {
            "hidden": list(hidden),
            "out_channels": list(out_channels),
            "channels": list(channels),
            "halving": list(halving),
        }

    def build(self) -> LoupeNet:
        """Build one; batch norm helps random weights only."""
        return LoupeNet(**self.shape, batch_norm=self.begun == "random")

    def lessons(self, teacher: Teachers) -> Network:
        """Take the teachers as they are."""
        return teacher

    def networks(self, teacher: Teachers) -> list[list[int]]:
        """Tell for every level how many channels each network gives."""
        return teacher.networks()

    def start(self, teacher: Teachers) -> Start | None:
        """Cut the first weights out of the teacher, or let a LoupeNet grow or shrink."""
        if self.begun == "random":
            return None
        return partial(self._thinned if self.begun == "thinned" else self._continued, teacher)

    def _thinned(self, teacher: Teachers, crops_B3HW: Tensor, bases: Sequence[Decorrelation]) -> LoupeNet:
        only = teacher.only()
        return thin(only.network, only.normalize(crops_B3HW), self.shape["hidden"], bases)

    @torch.no_grad()
    def _continued(self, teacher: Teachers, crops_B3HW: Tensor, bases: Sequence[Decorrelation]) -> LoupeNet:
        crops_B3HW = crops_B3HW[:_GROWN_ON]
        x_B3HW, seed = (crops_B3HW - LoupeNet.MEAN) / LoupeNet.STD, read_loupe_net(self.seed).to(crops_B3HW.device)
        if self.begun == "shrunk":
            net = shrink(seed, self.shape, x_B3HW)
        else:
            net = self.build().to(crops_B3HW.device)
            grow(seed, net, x_B3HW[:_LEVELLED_ON])
        taught = [torch.cat(level) for level in zip(*map(teacher, torch.split(crops_B3HW, 16)), strict=True)]
        solve_heads(net, x_B3HW, [basis(level) for basis, level in zip(bases, taught, strict=True)])
        return net

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
    """A patch description network; it takes all maps of the teacher, joined on its own grid.

    It learns without padding, as it is used: what the teacher says of the border is left out.

    Args:
        name: ``pdn_s`` or ``pdn_m``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.build = partial(_Normalised, name)

    def lessons(self, teacher: Teachers) -> Network:
        """Join the teacher's maps into what the student learns."""

        def inner(image_B3HW: Tensor) -> list[Tensor]:
            grid = [side // STRIDE for side in image_B3HW.shape[-2:]]
            return [join_maps(teacher(image_B3HW), grid)[..., BORDER:-BORDER, BORDER:-BORDER]]

        return inner

    def networks(self, teacher: Teachers) -> list[list[int]]:
        """Tell how many channels each network gives at each level: each of these is brought to the same variance."""
        levels = teacher.networks()
        return [[channels for level in levels for channels in level]] if levels else []

    def start(self, teacher: Teachers) -> None:
        """Begin with random weights."""

    def save(self, taught: Distilled, path: Path, facts: Mapping[str, str]) -> None:
        """Write the network, its batch norms folded; with or without padding it is the same."""
        if not isinstance(taught.student, _Normalised):
            raise TypeError(f"Expected a patch description network, but got {type(taught.student).__name__}.")
        facts = {**facts, "network": json.dumps({"name": self.name})}
        write_weights(fold_norms(taught.student.network), path, facts)


class _Normalised(nn.Module):
    """A patch description network that takes what distillation gives, and normalises it as ImageNet's images are."""

    mean: Tensor
    std: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        self.network: PatchDescription = PATCH_DESCRIPTION[name](batch_norm=True)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, x_B3HW: Tensor) -> list[Tensor]:
        """Return the features of images."""
        maps: list[Tensor] = self.network((0.5 * x_B3HW + 0.5 - self.mean) / self.std)
        return maps
