"""Patch description networks: small convolutional networks that describe every patch of 33 pixels.

The teachers and students of EfficientAD (Batzner et al., WACV 2024, arXiv 2303.14535, tables 5 and 6). Their layers
have the names under which teachers' weights are published.

Shape letters: B batch, H and W image height and width, C channels of the map, h and w cells of the map, of stride 4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

PDN_S = Path(__file__).with_name("pdn_s.safetensors")  # PDN-S that ships; its card lies beside it
STRIDE = 4
BORDER = 4  # cells on each side that a network without padding does not give


class PatchDescription(nn.Module, ABC):
    """What the networks have in common.

    Args:
        out_channels: C.
        padding: Give a map of the whole image, h = H / 4, where the border sees zeros beyond the image; without, a
            map that lacks ``BORDER`` cells on each side, all of which see nothing but image.
        layers: Always [1]: there is one map, of stride 4.
        batch_norm: True to learn faster from random weights; ``fold_norms`` gives those of the network without.
    """

    NORMED: ClassVar[tuple[int, ...]]  # channels of the convolutions that a batch norm may follow; 0: C
    LAST: ClassVar[tuple[str, ...]]  # gives the channels of the map

    def __init__(
        self, out_channels: int = 384, padding: bool = False, layers: Sequence[int] = (1,), batch_norm: bool = False
    ) -> None:
        super().__init__()
        if list(layers) != [1]:
            raise ValueError(f"Expected layers of a patch description network to be [1], but found {list(layers)}.")
        self.pad = int(padding)
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(width or out_channels) if batch_norm else nn.Identity() for width in self.NORMED
        )
        self.add_convolutions(out_channels)

    @abstractmethod
    def add_convolutions(self, out_channels: int) -> None:
        """Add the convolutions, under their published names."""

    def pool(self, x_BChw: Tensor) -> Tensor:
        """Halve a map."""
        return F.avg_pool2d(x_BChw, 2, 2, self.pad)


class PatchDescriptionSmall(PatchDescription):
    """PDN-S: four convolutions, 2.7 million parameters with 384 channels."""

    NORMED: ClassVar[tuple[int, ...]] = (128, 256, 256)
    LAST: ClassVar[tuple[str, ...]] = ("conv4",)

    def add_convolutions(self, out_channels: int) -> None:
        """Add four."""
        self.conv1 = nn.Conv2d(3, 128, 4, padding=3 * self.pad)
        self.conv2 = nn.Conv2d(128, 256, 4, padding=3 * self.pad)
        self.conv3 = nn.Conv2d(256, 256, 3, padding=self.pad)
        self.conv4 = nn.Conv2d(256, out_channels, 4)

    def forward(self, x_B3HW: Tensor) -> list[Tensor]:
        """Describe images, normalised as ImageNet's are, by one map (B, C, h, w)."""
        norm1, norm2, norm3 = self.norms
        x = self.pool(norm1(self.conv1(x_B3HW)).relu())
        x = self.pool(norm2(self.conv2(x)).relu())
        return [self.conv4(norm3(self.conv3(x)).relu())]


class PatchDescriptionMedium(PatchDescription):
    """PDN-M: six convolutions, 8.1 million parameters with 384 channels."""

    NORMED: ClassVar[tuple[int, ...]] = (256, 512, 512, 512, 0)
    LAST: ClassVar[tuple[str, ...]] = ("conv6",)

    def add_convolutions(self, out_channels: int) -> None:
        """Add six."""
        self.conv1 = nn.Conv2d(3, 256, 4, padding=3 * self.pad)
        self.conv2 = nn.Conv2d(256, 512, 4, padding=3 * self.pad)
        self.conv3 = nn.Conv2d(512, 512, 1)
        self.conv4 = nn.Conv2d(512, 512, 3, padding=self.pad)
        self.conv5 = nn.Conv2d(512, out_channels, 4)
        self.conv6 = nn.Conv2d(out_channels, out_channels, 1)

    def forward(self, x_B3HW: Tensor) -> list[Tensor]:
        """Describe images, normalised as ImageNet's are, by one map (B, C, h, w)."""
        norm1, norm2, norm3, norm4, norm5 = self.norms
        x = self.pool(norm1(self.conv1(x_B3HW)).relu())
        x = self.pool(norm2(self.conv2(x)).relu())
        x = norm4(self.conv4(norm3(self.conv3(x)).relu())).relu()
        return [self.conv6(norm5(self.conv5(x)).relu())]


PATCH_DESCRIPTION: dict[str, type[PatchDescriptionSmall | PatchDescriptionMedium]] = {
    "pdn_s": PatchDescriptionSmall,
    "pdn_m": PatchDescriptionMedium,
}


def fold_norms(net: PatchDescription) -> dict[str, Tensor]:
    """Fold the batch norms of a patch description network into its convolutions; ``net`` itself stays as it is.

    Returns:
        The state of the same network without batch norm, whose evaluation forward is the same function.
    """
    state = {key: value for key, value in net.state_dict().items() if not key.startswith("norms.")}
    for index, norm in enumerate(net.norms, 1):
        conv = net.get_submodule(f"conv{index}")
        if isinstance(norm, nn.BatchNorm2d) and isinstance(conv, nn.Conv2d):
            folded = fuse_conv_bn_eval(conv.eval(), norm.eval()).state_dict()
            state |= {f"conv{index}.{key}": value for key, value in folded.items()}
    return state
