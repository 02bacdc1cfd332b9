"""What EfficientAD trains: an autoencoder and a student, which both imitate a teacher's map.

Shape letters: B batch, H and W image height and width, C channels of the teacher's map, h and w its cells, Z channels
inside the autoencoder.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

from torch import nn
from torch.nn import functional as F

from models.features.loupe_net import LoupeNet
from models.features.patch_description import PATCH_DESCRIPTION, PatchDescriptionMedium, PatchDescriptionSmall

if TYPE_CHECKING:
    from torch import Tensor

StudentName = Literal["loupe_net", "pdn_s", "pdn_m"]

_BOTTLENECK = 8  # cells that the last convolution of the encoder spans: one code for an image of 256 pixels


class Autoencoder(nn.Module):
    """Gives a teacher's map through a bottleneck, so that it learns what a whole good image looks like (table 7).

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (3, 32, 32, 64, 64, 64)
        self.encoder = nn.ModuleList(nn.Conv2d(c, d, 4, stride=2, padding=1) for c, d in pairwise(widths))
        self.code = nn.Conv2d(64, 64, _BOTTLENECK)
        self.decoder = nn.ModuleList(nn.Conv2d(64, 64, 4, padding=2) for _ in range(6))
        self.dropout = nn.Dropout(0.2)
        self.refine = nn.Conv2d(64, 64, 3, padding=1)
        self.head = nn.Conv2d(64, channels, 3, padding=1)

    def forward(self, x_B3HW: Tensor, height: int, width: int) -> Tensor:
        """Give a map (B, C, height, width) of images, normalised as ImageNet's are."""
        size = x_B3HW.shape[-2:]
        x = x_B3HW
        for conv in self.encoder:
            x = conv(x).relu()
        x = self.code(_pad_to(x, _BOTTLENECK))
        for conv, (share, less) in zip(self.decoder, ((64, 1), (32, 0), (16, 1), (8, 0), (4, 1), (2, 1)), strict=True):
            grid = [max(1, side // share - less) for side in size]
            x = self.dropout(conv(F.interpolate(x, size=grid, mode="bilinear")).relu())
        x = F.interpolate(x, size=(height, width), mode="bilinear")
        y_BChw: Tensor = self.head(self.refine(x).relu())
        return y_BChw


class LoupeStudent(nn.Module):
    """LoupeNet with untrained weights, its three levels summed to one map of stride 4.

    With it, EfficientAD takes a twelfth of the time that it takes with PDN-S, most of it in the autoencoder. Its finest
    level sees what is small, its coarsest what lies 200 pixels apart. It has no batch norm, because the images it
    trains on are of two kinds, good ones and foreign ones.

    Args:
        out_channels: Of the map.
    """

    LAST: ClassVar[tuple[str, ...]] = ("network.heads.0", "network.heads.1", "network.heads.2")  # give the channels

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.network = LoupeNet(out_channels=(out_channels,) * 3)
        for unit in self.network.modules():
            if isinstance(unit, nn.Sequential):
                keep_variance(unit)

    def forward(self, x_B3HW: Tensor) -> list[Tensor]:
        """Describe images, normalised, by one map (B, out_channels, H / 4, W / 4)."""
        fine, *coarse = self.network(x_B3HW)
        return [fine + sum(F.interpolate(level, size=fine.shape[-2:], mode="bilinear") for level in coarse)]


def keep_variance(unit: nn.Sequential) -> None:
    """Draw the weights of a unit's convolution so that its output varies as its input does, ReLU6 or not.

    torch's own draw loses two thirds of the variance in every layer: twenty layers without batch norm then give next to
    nothing, and training stands still at first.

    Source: He et al., "Delving Deep into Rectifiers", ICCV 2015, arXiv 1502.01852.
    """
    bounded = isinstance(unit[-1], nn.ReLU6)
    for layer in unit:
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu" if bounded else "linear")
            nn.init.zeros_(layer.bias)


def build_student(
    name: StudentName, channels: int, padding: bool
) -> LoupeStudent | PatchDescriptionSmall | PatchDescriptionMedium:
    """Build a student of ``channels`` channels, a grid of stride 4 and random weights."""
    if name == "loupe_net":
        return LoupeStudent(channels)
    return PATCH_DESCRIPTION[name](channels, padding=padding)


def _pad_to(x_BZhw: Tensor, side: int) -> Tensor:
    """Pad with zeros, evenly on both sides, what is smaller than ``side``: images below 256 pixels."""
    lack_h, lack_w = (max(0, side - extent) for extent in x_BZhw.shape[-2:])
    return F.pad(x_BZhw, (lack_w // 2, lack_w - lack_w // 2, lack_h // 2, lack_h - lack_h // 2))
