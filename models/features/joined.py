"""Feature maps of several levels as one.

Letters: B batch, C channels, h and w patches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def join_maps(maps: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
    """Join feature maps (B, C_i, h_i, w_i) to one (B, C, h, w), on a grid of ``size``, by default the first one's."""
    grid = tuple(maps[0].shape[-2:] if size is None else size)
    fitted = [one if one.shape[-2:] == grid else F.interpolate(one, size=grid, mode="bilinear") for one in maps]
    return torch.cat(fitted, dim=1)
