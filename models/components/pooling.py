"""From an anomaly map to the score of its image.

Letters: B batch, H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def top_mean(map_BHW: Tensor, share: float, inside_BHW: Tensor | None = None) -> Tensor:
    """Average the highest values of each map: a small defect counts in full, a single noisy pixel does not.

    Args:
        map_BHW: Raw, higher is worse.
        share: Of the pixels to average, in (0, 1]; at least one is. 1 is the mean, close to 0 the maximum.
        inside_BHW: Which pixels are the image's, and no padding; None: all.

    Returns:
        (B,) scores in the map's units.
    """
    map_BP = map_BHW.flatten(1)
    count = max(1, round(share * map_BP.shape[1]))
    if inside_BHW is None:
        return map_BP.topk(count, dim=1).values.mean(dim=1)
    inside_BP = inside_BHW.flatten(1)
    top_BN = map_BP.masked_fill(~inside_BP, float("-inf")).topk(count, dim=1).values
    count_B = (share * inside_BP.sum(dim=1)).round().clamp_min(1)
    taken_BN = torch.arange(count, device=map_BP.device) < count_B.unsqueeze(1)
    return torch.where(taken_BN, top_BN, 0).sum(dim=1) / count_B


def check_share(share: float | None, name: str) -> None:
    """Refuse a share of pixels that is not one.

    Raises:
        ValueError: It is outside (0, 1].
    """
    if share is not None and not 0 < share <= 1:
        raise ValueError(f"Expected {name} to be above 0 and at most 1, but found {share}; 0.001 takes one in 1,000.")
