"""From patch scores to an anomaly map as large as the picture.

Letters: B batch, h and w patches, H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor


class SmoothMap(nn.Module):
    """Enlarge patch scores and blur them with a Gaussian, one axis after the other.

    The same map as anomalib's generator for PatchCore (nearest neighbour, then a kernel of four sigma on each side,
    reflected borders), at the cost of two short kernels instead of one square one.

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

    def forward(self, score_Bhw: Tensor, height: int, width: int) -> Tensor:
        """Turn (B, h, w) patch scores into (B, H, W) maps."""
        map_B1HW = F.interpolate(score_Bhw.unsqueeze(1), size=(height, width), mode="nearest")
        radius = len(self.kernel) // 2
        mode = "reflect" if min(height, width) > radius else "replicate"
        padded = F.pad(map_B1HW, (radius, radius, radius, radius), mode=mode)
        rows = F.conv2d(padded, self.kernel.view(1, 1, -1, 1))
        return F.conv2d(rows, self.kernel.view(1, 1, 1, -1)).squeeze(1)
