"""Feature pyramid on any backbone (Lin et al., CVPR 2017, arXiv 1612.03144), trainable from the last level down.

Letters: B batch, H and W pixels.
"""

from __future__ import annotations

from collections import OrderedDict
from math import gcd
from typing import TYPE_CHECKING

import torch
from torch import nn
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

if TYPE_CHECKING:
    from torch import Tensor

    from .joined_backbone import Features

GROUPS = 8  # of channels that are normalised together (Wu and He, ECCV 2018, arXiv 1803.08494)
PROBE = 64  # pixels: the side of the image that shows what a backbone returns


class BackboneFpn(nn.Module):
    """A backbone's levels, each with ``out_channels`` channels and the context of the coarser ones, and one level more.

    Args:
        backbone: From images in [0, 1] to feature maps, finest first.
        out_channels: Of every level.
        trainable_layers: How many of the backbone's levels learn, counted from the last; batch statistics never do.

    Attributes:
        strides: Pixels per cell of every level.

    Raises:
        ValueError: The backbone has fewer levels than are to learn.
    """

    def __init__(self, backbone: Features, out_channels: int, trainable_layers: int) -> None:
        super().__init__()
        unfreeze(backbone, trainable_layers)
        with torch.no_grad():
            maps = backbone(torch.zeros(1, 3, PROBE, PROBE))
        self.out_channels = out_channels
        self.strides = [PROBE // level.shape[-1] for level in maps]
        self.strides.append(2 * self.strides[-1])
        self.backbone = backbone
        # Backbones differ in the scale of their features by orders of magnitude, and the heads' losses with them.
        self.pyramid = FeaturePyramidNetwork(
            [level.shape[1] for level in maps],
            out_channels,
            LastLevelMaxPool(),
            norm_layer=lambda channels: nn.GroupNorm(gcd(GROUPS, channels), channels),
        )

    def forward(self, image_B3HW: Tensor) -> OrderedDict[str, Tensor]:
        """Return maps ``0``, ``1``, ..., ``pool``, (B, out_channels, H / stride, W / stride), finest first."""
        maps = self.backbone(image_B3HW)
        levels: OrderedDict[str, Tensor] = self.pyramid(OrderedDict((str(i), level) for i, level in enumerate(maps)))
        return levels


def unfreeze(backbone: Features, trainable_layers: int) -> None:
    """Let the last levels of a backbone learn.

    A weight belongs to the first level that depends on it, which its gradient tells for a network of any make.

    Args:
        backbone: Frozen.
        trainable_layers: How many levels, from the last; 0 leaves the backbone as it is.

    Raises:
        ValueError: There are fewer levels.
    """
    parameters = list(backbone.parameters())
    for parameter in parameters:
        parameter.requires_grad_(True)
    with torch.enable_grad():
        maps = backbone(torch.zeros(1, 3, PROBE, PROBE))
        if not 0 <= trainable_layers <= len(maps):
            raise ValueError(
                f"Expected model.trainable_layers to be from 0 to {len(maps)}, the levels of this backbone, but found "
                f"{trainable_layers}."
            )
        levels = [torch.autograd.grad(level.sum(), parameters, retain_graph=True, allow_unused=True) for level in maps]
    for index, parameter in enumerate(parameters):
        first = next((level for level, gradients in enumerate(levels) if gradients[index] is not None), len(maps))
        parameter.requires_grad_(len(maps) - trainable_layers <= first < len(maps))
