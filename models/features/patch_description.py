"""Patch description networks: small convolutional networks that describe every patch of 33 pixels.

The teachers and students of EfficientAD (Batzner et al., WACV 2024, arXiv 2303.14535, tables 5 and 6). Their layers
have the names under which teachers' weights are published.

Shape letters: B batch, H and W image height and width, C channels of the map, h and w cells of the map, of stride 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

BORDER = 4  # cells on each side that a network without padding does not give


class PatchDescriptionSmall(nn.Module):
    """PDN-S: four convolutions, 2.7 million parameters with 384 channels.

    Args:
        out_channels: C.
        padding: Give a map of the whole image, h = H / 4, where the border sees zeros beyond the image; without, a
            map that lacks ``BORDER`` cells on each side, all of which see nothing but image.
        layers: Always [1]: there is one map, of stride 4.
    """

    def __init__(self, out_channels: int = 384, padding: bool = False, layers: Sequence[int] = (1,)) -> None:
        super().__init__()
        _check_layers(layers)
        pad = int(padding)
        self.pad = pad
        self.conv1 = nn.Conv2d(3, 128, 4, padding=3 * pad)
        self.conv2 = nn.Conv2d(128, 256, 4, padding=3 * pad)
        self.conv3 = nn.Conv2d(256, 256, 3, padding=pad)
        self.conv4 = nn.Conv2d(256, out_channels, 4)

    def forward(self, x_B3HW: Tensor) -> list[Tensor]:
        """Describe images, normalised as ImageNet's are, by one map (B, C, h, w)."""
        x = F.avg_pool2d(self.conv1(x_B3HW).relu(), 2, 2, self.pad)
        x = F.avg_pool2d(self.conv2(x).relu(), 2, 2, self.pad)
        return [self.conv4(self.conv3(x).relu())]


class PatchDescriptionMedium(nn.Module):
    """PDN-M: six convolutions, 8.1 million parameters with 384 channels.

    Args:
        out_channels: C.
        padding: As in ``PatchDescriptionSmall``.
        layers: Always [1].
    """

    def __init__(self, out_channels: int = 384, padding: bool = False, layers: Sequence[int] = (1,)) -> None:
        super().__init__()
        _check_layers(layers)
        pad = int(padding)
        self.pad = pad
        self.conv1 = nn.Conv2d(3, 256, 4, padding=3 * pad)
        self.conv2 = nn.Conv2d(256, 512, 4, padding=3 * pad)
        self.conv3 = nn.Conv2d(512, 512, 1)
        self.conv4 = nn.Conv2d(512, 512, 3, padding=pad)
        self.conv5 = nn.Conv2d(512, out_channels, 4)
        self.conv6 = nn.Conv2d(out_channels, out_channels, 1)

    def forward(self, x_B3HW: Tensor) -> list[Tensor]:
        """Describe images, normalised as ImageNet's are, by one map (B, C, h, w)."""
        x = F.avg_pool2d(self.conv1(x_B3HW).relu(), 2, 2, self.pad)
        x = F.avg_pool2d(self.conv2(x).relu(), 2, 2, self.pad)
        x = self.conv4(self.conv3(x).relu()).relu()
        return [self.conv6(self.conv5(x).relu())]


PATCH_DESCRIPTION = {"pdn_s": PatchDescriptionSmall, "pdn_m": PatchDescriptionMedium}


def _check_layers(layers: Sequence[int]) -> None:
    if list(layers) != [1]:
        raise ValueError(f"Expected layers of a patch description network to be [1], but found {list(layers)}.")
