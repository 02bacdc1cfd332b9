"""Reverse distillation: a decoder rebuilds good features from their gist alone (Deng and Li 2022, arXiv 2201.10703).

On layers 1 to 3 of a ResNet, bottleneck and decoder are anomalib's, as the paper has them. On any other pyramid they
are built from its channels, in the same manner.

Letters: B batch, H and W pixels.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from anomalib.data import InferenceBatch
from anomalib.models.components.backbone import get_decoder
from anomalib.models.components.backbone.resnet_decoder import DecoderBasicBlock
from anomalib.models.image.reverse_distillation.components import get_bottleneck_layer
from anomalib.models.image.reverse_distillation.loss import ReverseDistillationLoss
from torch import nn, optim
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock

from .base import InspectionModel
from .components.maps import GaussianBlur
from .components.padding import SeesPadding, cells_inside, silenced, worst
from .features.joined_backbone import build_features, each
from .features.precision import full_precision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from datamodules.samples.batch import InspectionBatch

    from .features.joined_backbone import Features

PROBE = 128  # side of an image that shows how a network shrinks: no stride is larger
RESNETS = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2"),
)


class Bottleneck(nn.Module):
    """Brings all levels to half the size of the deepest one, and mixes them.

    Args:
        channels: Of the levels, finest first; each is half as large as the one before.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        deepest = channels[-1]
        self.reduce = nn.ModuleList(
            nn.Sequential(*(_halve(before, after) for before, after in pairwise(channels[level:])))
            for level in range(len(channels))
        )
        wide = len(channels) * deepest
        skip = nn.Sequential(nn.Conv2d(wide, 2 * deepest, 1, stride=2, bias=False), nn.BatchNorm2d(2 * deepest))
        self.mix = nn.Sequential(BasicBlock(wide, 2 * deepest, 2, skip), BasicBlock(2 * deepest, 2 * deepest))

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the gist: twice the channels of the deepest level, at half its size."""
        reduced = [reduce(feature) for reduce, feature in zip(self.reduce, features, strict=True)]
        gist: Tensor = self.mix(torch.cat(reduced, dim=1))
        return gist


class Decoder(nn.Module):
    """Rebuilds every level from the gist; a last linear layer per level, since features may be negative.

    Args:
        channels: Of the levels, finest first.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        steps = list(pairwise([2 * channels[-1], *reversed(channels)]))
        self.stages = nn.ModuleList(_double(before, after) for before, after in steps)
        self.heads = nn.ModuleList(nn.Conv2d(after, after, 1) for _, after in steps)

    def forward(self, gist: Tensor) -> list[Tensor]:
        """Return what the levels should be, finest first."""
        levels = []
        for stage, head in zip(self.stages, self.heads, strict=True):
            gist = stage(gist)
            levels.append(head(gist))
        return levels[::-1]


class ReverseDistillationModel(SeesPadding):
    """The network.

    Args:
        encoder: From images in [0, 1] to feature maps; frozen.
        bottleneck: From feature maps to their gist.
        decoder: From the gist to feature maps.
        mode: How the maps of all levels are joined: ``add`` or ``multiply``.
    """

    def __init__(self, encoder: Features, bottleneck: nn.Module, decoder: nn.Module, mode: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.bottleneck = bottleneck
        self.decoder = decoder
        self.mode = mode
        self.blur = GaussianBlur()

    def features(self, image_B3HW: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return the feature maps, and what the decoder makes of their gist; 0 in both where an image is padded."""
        image_B3HW, inside_BHW = self.open(image_B3HW)
        found = self.encoder(image_B3HW)
        rebuilt = self.decoder(self.bottleneck(found))
        cells = [None if inside_BHW is None else cells_inside(inside_BHW, *level.shape[-2:]) for level in found]
        return (
            [silenced(feature, inside) for feature, inside in zip(found, cells, strict=True)],
            [silenced(feature, inside) for feature, inside in zip(rebuilt, cells, strict=True)],
        )

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images: raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W), from 0 to 2 for each level."""
        found, rebuilt = self.features(image_B3HW)
        size = image_B3HW.shape[-2:]
        with full_precision(image_B3HW):
            distances = [1 - F.cosine_similarity(a, b.float()) for a, b in zip(found, rebuilt, strict=True)]
            maps = torch.cat(
                [F.interpolate(d.unsqueeze(1), size=size, mode="bilinear", align_corners=True) for d in distances],
                dim=1,
            )
            inside_BHW = self.open(image_B3HW)[1]
            weight_BHW = None if inside_BHW is None else inside_BHW.to(maps.dtype)
            map_BHW = self.blur(maps.sum(dim=1) if self.mode == "add" else maps.prod(dim=1), weight_BHW)
        return InferenceBatch(pred_score=worst(map_BHW, inside_BHW), anomaly_map=map_BHW)


class ReverseDistillation(InspectionModel):
    """Reverse distillation.

    Args:
        backbone: Arguments of ``models.features.joined_backbone.build_features``. Its layers must be neighbours, each
            half as large as the one before.
        mode: How the maps of all levels are joined: ``add``, or ``multiply``, which asks all levels to agree.
        learning_rate: Of Adam.

    Raises:
        ValueError: The layers are not neighbours.
    """

    sees_ground: ClassVar[bool] = True

    def __init__(
        self, backbone: Mapping[str, Any], mode: Literal["add", "multiply"] = "add", learning_rate: float = 0.005
    ) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.loss = ReverseDistillationLoss()
        encoder = build_features(backbone)
        shapes = encoder.shapes(PROBE, PROBE)
        sides = [height for _, height, _ in shapes]
        layers = {name: list(arguments["layers"]) for name, arguments in each(backbone).items()}
        if any(before != 2 * after for before, after in pairwise(sides)):
            found = " and ".join(f"{levels} of {name}" for name, levels in layers.items())
            raise ValueError(
                "Expected backbone.layers to be neighbours, each half as large as the one before, since the decoder "
                f"doubles, but {found} have sides of {sides} for {PROBE}."
            )
        self.size_multiple = 2 * PROBE // sides[-1]
        channels = [channels for channels, _, _ in shapes]
        name = encoder.origin["name"].split(".")[0]
        papers = name in RESNETS and [*layers.values()] == [[1, 2, 3]]
        bottleneck = get_bottleneck_layer(name) if papers else Bottleneck(channels)
        decoder = get_decoder(name) if papers else Decoder(channels)
        self.model: ReverseDistillationModel = ReverseDistillationModel(encoder, bottleneck, decoder, mode)

    def origin(self) -> dict[str, str]:
        """Say where the encoder's weights came from."""
        return self.model.encoder.origin

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe images (B, D) by the mean of their gist."""
        gist: Tensor = self.model.bottleneck(self.model.encoder(image_B3HW))
        return gist.mean(dim=(2, 3))

    def configure_optimizers(self) -> optim.Optimizer:
        """Adam over bottleneck and decoder, with the paper's momenta."""
        learnt = [*self.model.bottleneck.parameters(), *self.model.decoder.parameters()]
        return optim.Adam(learnt, lr=self.learning_rate, betas=(0.5, 0.99))

    def training_step(self, batch: InspectionBatch, batch_idx: int) -> Tensor:
        """Return 1 minus the cosine of whole maps, summed over levels."""
        del batch_idx
        loss: Tensor = self.loss(*self.model.features(self.images_of(batch)))
        self.log_loss(loss, batch)
        return loss


def _halve(channels: int, out: int) -> nn.Sequential:
    """Build a convolution that halves a map."""
    conv = nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU(inplace=True))


def _double(channels: int, out: int) -> nn.Sequential:
    """Build two residual blocks of which the first doubles a map."""
    skip = nn.Sequential(nn.ConvTranspose2d(channels, out, 2, stride=2, bias=False), nn.BatchNorm2d(out))
    return nn.Sequential(DecoderBasicBlock(channels, out, 2, skip), DecoderBasicBlock(out, out))
