"""Where in the image a patch lies, as two more features of it.

Parts that lie alike in every image differ from place to place: what is right here is wrong there, and a missing feature
shows plain ground, which is right elsewhere. With its place among its features, a patch is compared with what good
images show about there; coreset and search need know nothing of it.

Letters: B batch, D features, h and w patches along the axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from models.errors import key

if TYPE_CHECKING:
    from torch import Tensor


class Placing(nn.Module):
    """Appends the places of patches to their features.

    Args:
        weight: Of the place: to be as far apart as the image is wide counts so many times as much as features usually
            vary. At least 0; with 0 nothing is appended.

    Attributes:
        unit: How much features vary: the root of the sum of their variances over patches. 0 until it is learnt.

    Raises:
        ValueError: The weight is out of range.
    """

    unit: Tensor

    def __init__(self, weight: float) -> None:
        super().__init__()
        if not 0 <= weight < float("inf"):
            raise ValueError(
                f"Expected {key('position')} to be 0 (places do not count) or more, such as 1, but found {weight}."
            )
        self.weight = weight
        self.register_buffer("unit", torch.tensor(0.0))

    def learn(self, feature_BDhw: Tensor) -> None:
        """Take the unit from the first features (B, D, h, w) that are seen; later ones change nothing."""
        if self.weight and not float(self.unit):
            self.unit.copy_(feature_BDhw.transpose(0, 1).flatten(1).var(dim=1, correction=0).sum().sqrt())

    def forward(self, feature_BDhw: Tensor) -> Tensor:
        """Return features with the places of their patches: (B, D + 2, h, w)."""
        if not self.weight:
            return feature_BDhw
        batch, _, height, width = feature_BDhw.shape
        down_h = (torch.arange(height).to(feature_BDhw) + 0.5) / height
        across_w = (torch.arange(width).to(feature_BDhw) + 0.5) / width
        place_2hw = torch.stack([down_h[:, None].expand(height, width), across_w.expand(height, width)])
        place_B2hw = (self.weight * self.unit * place_2hw).expand(batch, -1, -1, -1)
        return torch.cat([feature_BDhw, place_B2hw], dim=1)
