"""Images in several sizes: small defects show where an image is enlarged, large ones where it is not.

Letters: B batch, H and W image height and width, D features, h and w patches along the axes of one size, P patches of
an image in all sizes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from .padding import cells_inside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

MOST = 16  # times: more is a slip
SIDE = 16  # pixels, of which both sides of a resized image are multiples: LoupeNet sees nothing of what is left over


def resized(image_B3HW: Tensor, scale: float) -> Tensor:
    """Bring images to a multiple of their size, with sides that are multiples of ``SIDE``; by 1, leave them alone."""
    if scale == 1:
        return image_B3HW
    size = [max(1, round(scale * side / SIDE)) * SIDE for side in image_B3HW.shape[-2:]]
    return F.interpolate(image_B3HW, size=size, mode="bilinear")


def check_scales(scales: Sequence[float]) -> None:
    """Refuse sizes that an image cannot be looked at in.

    Raises:
        ValueError: There are none, or one is not above 0, or comes twice.
    """
    if not scales or not all(0 < scale <= MOST for scale in scales) or len(set(scales)) < len(scales):
        raise ValueError(
            f"Expected model.scales to be different factors above 0 and at most {MOST}, such as [1, 1.5], but "
            f"found {list(scales)}."
        )


def listed(grids_BDhw: Sequence[Tensor]) -> Tensor:
    """List the patches of every image, one size after the other: (B, P, D)."""
    lists_BDP = [grid_BDhw.flatten(2) for grid_BDhw in grids_BDhw]
    return (lists_BDP[0] if len(lists_BDP) == 1 else torch.cat(lists_BDP, dim=2)).transpose(1, 2)


def counted(grids_BDhw: Sequence[Tensor], inside_BHW: Tensor | None) -> list[Tensor] | None:
    """Tell which patches of every size are of images, and not of padding: (B, h, w) for each; None: all are."""
    if inside_BHW is None:
        return None
    return [cells_inside(inside_BHW, *grid_BDhw.shape[-2:]) for grid_BDhw in grids_BDhw]


def flat(grids_Bhw: Sequence[Tensor]) -> Tensor:
    """List the values of every image, one size after the other, as ``listed`` does: (B, P)."""
    return torch.cat([grid_Bhw.flatten(1) for grid_Bhw in grids_Bhw], dim=1)
