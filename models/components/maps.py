"""From patch scores to an anomaly map as large as the image.

Letters: B batch, h and w patches, H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from models.features.in_parts import REUSED, few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

TINY = 1e-6  # weight of pixels that are far from all that counts
BLOCK = 16  # channels that a convolution makes of one, on a processor, where it works on vectors of so many numbers


def mean_over_turns(judge: Callable[[Tensor], Tensor], image_BCHW: Tensor) -> Tensor:
    """Mean of the maps (B, H, W) that ``judge`` makes of images in all eight turns and flips, each turned back.

    Whatever ``judge`` is, the result turns with the image.
    """
    maps = []
    for turned_BCHW, flipped in ((image_BCHW, False), (image_BCHW.flip(-1), True)):
        for quarters in range(4):
            map_BHW = torch.rot90(judge(torch.rot90(turned_BCHW, quarters, (-2, -1))), -quarters, (-2, -1))
            maps.append(map_BHW.flip(-1) if flipped else map_BHW)
    return torch.stack(maps).mean(dim=0)


class GaussianBlur(nn.Module):
    """Blur maps with a Gaussian of four sigma on each side, one axis after the other; borders are reflected.

    Args:
        sigma: Of the Gaussian, in pixels.
    """

    kernel: Tensor

    def __init__(self, sigma: float = 4.0) -> None:
        super().__init__()
        radius = int(4.0 * sigma + 0.5)
        offset = torch.arange(-radius, radius + 1, dtype=torch.float64)
        kernel = torch.exp(-offset.square() / (2 * sigma**2))
        self.register_buffer("kernel", (kernel / kernel.sum()).float(), persistent=False)

    def forward(self, map_BHW: Tensor, weight_BHW: Tensor | None = None) -> Tensor:
        """Blur (B, H, W) maps, same shape; with weights, every pixel counts as much as its own says."""
        if weight_BHW is None:
            return self._few(map_BHW)
        return self._few(map_BHW * weight_BHW) / self._few(weight_BHW).clamp_min(TINY)

    def _few(self, map_BHW: Tensor) -> Tensor:
        height, width = (side + len(self.kernel) for side in map_BHW.shape[-2:])
        return few_at_a_time(self._blur, map_BHW, REUSED // (4 * BLOCK * height * width))

    def _blur(self, map_BHW: Tensor) -> Tensor:
        height, width = map_BHW.shape[-2:]
        radius = len(self.kernel) // 2
        mode = "reflect" if min(height, width) > radius else "replicate"
        padded = F.pad(map_BHW.unsqueeze(1), (radius, radius, radius, radius), mode=mode)
        rows = F.conv2d(padded, self.kernel.view(1, 1, -1, 1))
        return F.conv2d(rows, self.kernel.view(1, 1, 1, -1)).squeeze(1)


class SmoothMap(nn.Module):
    """Enlarge patch scores and blur them.

    The same map as anomalib's generators for PatchCore (``nearest``) and PaDiM (``bilinear``), at the cost of two short
    kernels instead of one square one.

    Args:
        sigma: Of the Gaussian, in pixels.
        mode: How to enlarge: ``nearest`` or ``bilinear``.
    """

    def __init__(self, sigma: float = 4.0, mode: str = "nearest") -> None:
        super().__init__()
        self.blur = GaussianBlur(sigma)
        self.mode = mode

    def forward(self, score_Bhw: Tensor, height: int, width: int, counts_Bhw: Tensor | None = None) -> Tensor:
        """Turn (B, h, w) patch scores into (B, H, W) maps, from patches that count alone; None: all do."""
        map_BHW: Tensor
        if counts_Bhw is None:
            map_BHW = self.blur(self.enlarge(score_Bhw, height, width))
            return map_BHW
        weight_Bhw = counts_Bhw.to(score_Bhw.dtype)
        weight_BHW = self.enlarge(weight_Bhw, height, width)
        mean_BHW = self.enlarge(score_Bhw * weight_Bhw, height, width) / weight_BHW.clamp_min(TINY)
        map_BHW = self.blur(mean_BHW, weight_BHW)
        return map_BHW

    def enlarge(self, score_Bhw: Tensor, height: int, width: int) -> Tensor:
        """Enlarge (B, h, w) patch scores to (B, H, W), without the blur."""
        return F.interpolate(score_Bhw.unsqueeze(1), size=(height, width), mode=self.mode).squeeze(1)
