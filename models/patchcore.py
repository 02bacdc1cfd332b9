"""PatchCore: a patch is anomalous where no patch of a good picture looks like it (Roth et al. 2022, arXiv 2106.08265).

Letters: B batch, C channels, h and w patches along the axes, P = h w patches of a picture, D features of a patch,
M patches in the bank, K neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from anomalib.data import InferenceBatch
from anomalib.models.components import DynamicBufferMixin
from torch import nn
from torch.nn import functional as F

from datamodules.progress import track

from .backbones import Backbone
from .coreset import k_center_greedy, project
from .maps import SmoothMap
from .one_pass import OnePassModel
from .precision import full_precision
from .shared_work import is_shared, remember, remember_order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

BANK_ROWS = 4096  # of the bank that are compared at a time: bounds the memory of a search


class Nearest(NamedTuple):
    """The nearest patch of the bank, for every patch: squared distance and index, each (B, P)."""

    square_BP: Tensor
    index_BP: Tensor


class PatchCoreModel(DynamicBufferMixin, nn.Module):
    """The network: features, the bank, and the search.

    Args:
        backbone: From pictures in [0, 1] to feature maps.
        num_neighbors: Of the bank's nearest patch, to weigh the picture's score by how crowded its neighbourhood is; 1
            turns that off.
    """

    bank_MD: Tensor
    bank_square_M: Tensor
    neighbor_MK: Tensor

    def __init__(self, backbone: Backbone, num_neighbors: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.num_neighbors = num_neighbors
        self.smooth_map = SmoothMap()
        self.register_buffer("bank_MD", torch.empty(0, 0))
        self.register_buffer("bank_square_M", torch.empty(0))  # cached: half of every distance
        self.register_buffer("neighbor_MK", torch.empty(0, 0, dtype=torch.int64))  # of every patch in the bank

    def embed(self, image_B3HW: Tensor) -> Tensor:
        """Describe every patch by the features around it, of all layers: (B, D, h, w)."""
        features = [F.avg_pool2d(feature, 3, 1, 1) for feature in self.backbone(image_B3HW)]
        size = features[0].shape[-2:]
        rest = [F.interpolate(feature, size=size, mode="bilinear") for feature in features[1:]]
        return torch.cat([features[0], *rest], dim=1)

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score pictures: raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W), as distances between features.

        Raises:
            RuntimeError: The bank is empty.
        """
        if not len(self.bank_MD):
            raise RuntimeError("Expected a bank of good patches, but it is empty; train first, or load a checkpoint.")
        embedding_BDhw = self.embed(image_B3HW)
        height, width = embedding_BDhw.shape[-2:]
        patch_BPD = embedding_BDhw.flatten(2).transpose(1, 2)
        with full_precision(patch_BPD):
            nearest = self.search(patch_BPD)
            distance_BP = nearest.square_BP.sqrt()
            score_Bhw = distance_BP.reshape(-1, height, width)
            return InferenceBatch(
                pred_score=self.score(patch_BPD, distance_BP, nearest.index_BP),
                anomaly_map=self.smooth_map(score_Bhw, *image_B3HW.shape[-2:]),
            )

    def search(self, patch_BPD: Tensor) -> Nearest:
        """Find the nearest patch of the bank for every patch, exactly, a part of the bank at a time."""
        if is_shared():
            return Nearest(*remember("nearest", [patch_BPD, self.bank_MD], lambda: self._search(patch_BPD)))
        return self._search(patch_BPD)

    def _search(self, patch_BPD: Tensor) -> Nearest:
        square_BP = patch_BPD.square().sum(dim=2)
        best = Nearest(torch.full_like(square_BP, torch.inf), torch.zeros_like(square_BP, dtype=torch.int64))
        for first in range(0, len(self.bank_MD), BANK_ROWS):
            rows = slice(first, first + BANK_ROWS)
            relative_BPM = self.bank_square_M[rows] - 2 * (patch_BPD @ self.bank_MD[rows].T)
            value_BP, index_BP = relative_BPM.min(dim=2)
            closer_BP = value_BP < best.square_BP
            best = Nearest(
                torch.where(closer_BP, value_BP, best.square_BP),
                torch.where(closer_BP, index_BP + first, best.index_BP),
            )
        return Nearest((best.square_BP + square_BP).clamp_min(0), best.index_BP)

    def score(self, patch_BPD: Tensor, distance_BP: Tensor, index_BP: Tensor) -> Tensor:
        """Score pictures (B,) by their worst patch, weighed by the neighbourhood of its match (equation 7)."""
        worst_B1 = distance_BP.argmax(dim=1, keepdim=True)
        distance_B = distance_BP.gather(1, worst_B1).squeeze(1)
        if self.num_neighbors == 1:
            return distance_B
        worst_BD = patch_BPD.gather(1, worst_B1.unsqueeze(2).expand(-1, -1, patch_BPD.shape[2])).squeeze(1)
        neighbor_BK = self.neighbor_MK[index_BP.gather(1, worst_B1).squeeze(1)]
        apart_BK = (worst_BD.unsqueeze(1) - self.bank_MD[neighbor_BK]).norm(dim=2)
        weight_B: Tensor = 1 - apart_BK.softmax(dim=1)[:, 0]
        return weight_B * distance_B

    def set_bank(self, bank_MD: Tensor) -> None:
        """Take these patches as the bank; note their norms, and each one's nearest neighbours (itself first)."""
        self.bank_MD = bank_MD.contiguous()
        self.bank_square_M = bank_MD.square().sum(dim=1)
        count = min(self.num_neighbors, len(bank_MD))
        parts = track(torch.split(bank_MD, BANK_ROWS // 4), "linking neighbours")
        self.neighbor_MK = torch.cat([torch.cdist(part, bank_MD).topk(count, largest=False).indices for part in parts])


class PatchCore(OnePassModel):
    """PatchCore: one pass over good pictures fills a bank of patches, thinned to a coreset.

    Args:
        backbone: Arguments of ``models.backbones.Backbone``.
        coreset_ratio: Share of all patches that the bank keeps, in (0, 1].
        num_neighbors: Neighbours that weigh a picture's score; 1 turns weighing off. At least 1.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, backbone: Mapping[str, Any], coreset_ratio: float = 0.1, num_neighbors: int = 9) -> None:
        super().__init__()
        if not 0 < coreset_ratio <= 1:
            raise ValueError(f"Expected model.coreset_ratio to be above 0 and at most 1, but found {coreset_ratio}.")
        if num_neighbors < 1:
            raise ValueError(f"Expected model.num_neighbors to be at least 1, but found {num_neighbors}.")
        self.coreset_ratio = coreset_ratio
        self.model: PatchCoreModel = PatchCoreModel(Backbone(**backbone), num_neighbors)
        self._patches: list[Tensor] = []

    def origin(self) -> dict[str, str]:
        """Say where the backbone's weights came from."""
        return self.model.backbone.origin

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe pictures (B, D) by the mean of their patches."""
        return self.model.embed(image_B3HW).mean(dim=(2, 3))

    def collect(self, image_B3HW: Tensor) -> None:
        """Keep the patches of a batch."""
        embedding_BDhw = self.model.embed(image_B3HW)
        self._patches.append(embedding_BDhw.permute(0, 2, 3, 1).flatten(0, 2).cpu())

    def fit(self) -> None:
        """Thin the collected patches to a coreset and make it the bank; do nothing where none were collected."""
        if not self._patches:
            return
        patch_ND = torch.cat(self._patches)
        self._patches.clear()
        count = max(1, round(self.coreset_ratio * len(patch_ND)))
        start = int(torch.randint(len(patch_ND), ()))
        short_ND = project(patch_ND).to(self.device)
        picks = remember_order(
            "coreset",
            [short_ND, start],
            count,
            lambda: track(k_center_greedy(short_ND, count, start), "choosing the coreset", total=count),
        )
        self.model.set_bank(patch_ND[picks].to(self.device))
