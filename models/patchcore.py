"""PatchCore: a patch is anomalous where no patch of a good image looks like it (Roth et al. 2022, arXiv 2106.08265).

Letters: B batch, C channels, h and w patches along the axes, P = h w patches of an image, D features of a patch,
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

from .components.coreset import k_center_greedy, projection
from .components.maps import SmoothMap
from .components.nearest import ROWS, BankSearch, search_plainly
from .errors import UntrainedError
from .features.backbones import Backbone
from .features.precision import full_precision
from .one_pass import OnePassModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

LARGE = 2048  # patches of a bank, from which it is worth arranging for a search
LINKS = 16  # neighbours that are looked for, at least: so ties fall alike however many of them weigh a score


class Matches(NamedTuple):
    """All of a prediction that does not depend on the number of neighbours.

    Attributes:
        distance_B: Of each image's worst patch to its match in the bank.
        index_B: The match.
        worst_BD: The worst patch.
        map_BHW: The anomaly map.
    """

    distance_B: Tensor
    index_B: Tensor
    worst_BD: Tensor
    map_BHW: Tensor


class PatchCoreModel(DynamicBufferMixin, nn.Module):
    """The network: features, the bank, and the search.

    Args:
        backbone: From images in [0, 1] to feature maps.
        num_neighbors: Of the bank's nearest patch, to weigh the image's score by how crowded its neighbourhood is; 1
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
        self._search: BankSearch | None = None  # made when it is first asked, of the bank that there is
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
        """Score images: raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W), as distances between features.

        Raises:
            UntrainedError: The bank is empty.
        """
        if not len(self.bank_MD):
            raise UntrainedError("Expected a bank of good patches, but it is empty; train first, or load a checkpoint.")
        matches = self.match(image_B3HW)
        return InferenceBatch(pred_score=self.score(matches), anomaly_map=matches.map_BHW)

    def match(self, image_B3HW: Tensor) -> Matches:
        """Compare every patch with the bank."""
        embedding_BDhw = self.embed(image_B3HW)
        height, width = embedding_BDhw.shape[-2:]
        patch_BPD = embedding_BDhw.flatten(2).transpose(1, 2)
        with full_precision(patch_BPD):
            distance_BP = self.search(patch_BPD).sqrt()
            worst_B1 = distance_BP.argmax(dim=1, keepdim=True)
            worst_BD = patch_BPD.gather(1, worst_B1.unsqueeze(2).expand(-1, -1, patch_BPD.shape[2])).squeeze(1)
            return Matches(
                distance_B=distance_BP.gather(1, worst_B1).squeeze(1),
                index_B=self.nearest(worst_BD),
                worst_BD=worst_BD,
                map_BHW=self.smooth_map(distance_BP.reshape(-1, height, width), *image_B3HW.shape[-2:]),
            )

    def search(self, patch_BPD: Tensor) -> Tensor:
        """Measure how far every patch is from the nearest one of the bank, squared and exactly: (B, P).

        On a processor a large bank is arranged for that, once; in a graph and on other devices all are compared.
        """
        asked_ND = patch_BPD.flatten(0, 1)
        quick = not torch.compiler.is_exporting() and self._is_worth_arranging() and not asked_ND.requires_grad
        square_N = self._arranged(asked_ND) if quick else search_plainly(asked_ND, self.bank_MD, self._squares())
        return square_N.view(-1, patch_BPD.shape[1])

    def _is_worth_arranging(self) -> bool:
        return len(self.bank_MD) >= LARGE and self.bank_MD.device.type == "cpu"

    def _load_from_state_dict(self, *args: Any) -> None:
        """Take a bank, which may be written over the old one."""
        self._search = None
        super()._load_from_state_dict(*args)

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch says nothing of its type
    def _arranged(self, asked_ND: Tensor) -> Tensor:
        if self._search is None or self._search.bank_MD is not self.bank_MD:
            self._search = BankSearch(self.bank_MD)
        return self._search(asked_ND).square_N

    def nearest(self, patch_BD: Tensor) -> Tensor:
        """Find the nearest patch of the bank, for one patch of every image: (B,)."""
        return torch.addmm(self._squares(), -2 * patch_BD, self.bank_MD.T).argmin(dim=1)

    def _squares(self) -> Tensor:
        """Return the squared norms of the bank (M,): noted ones, or in a graph as a part of it.

        There a runtime computes them, once, of the bank that it holds, which a half-precision form has rounded: squares
        of any other bank would not cancel with the products.
        """
        return self.bank_MD.square().sum(dim=1) if torch.compiler.is_exporting() else self.bank_square_M

    def score(self, matches: Matches) -> Tensor:
        """Score images (B,) by their worst patch, weighed by the neighbourhood of its match (equation 7)."""
        if self.num_neighbors == 1:
            return matches.distance_B
        with full_precision(matches.worst_BD):
            neighbor_BK = self.neighbor_MK[matches.index_B]
            apart_BK = (matches.worst_BD.unsqueeze(1) - self.bank_MD[neighbor_BK]).norm(dim=2)
            weight_B: Tensor = 1 - apart_BK.softmax(dim=1)[:, 0]
            return weight_B * matches.distance_B

    def set_bank(self, bank_MD: Tensor) -> None:
        """Take these patches as the bank; note their norms, and each one's nearest neighbours (itself first)."""
        self.bank_MD = bank_MD.contiguous()
        self.bank_square_M = bank_MD.square().sum(dim=1)
        count = min(max(self.num_neighbors, LINKS), len(bank_MD))
        self.neighbor_MK = self.link(count)[:, : self.num_neighbors].clone()

    def link(self, count: int) -> Tensor:
        """Find the nearest patches (M, count) of every patch in the bank: itself, then others."""
        parts = track(torch.split(self.bank_MD, ROWS), "linking neighbours")
        return torch.cat([torch.cdist(part, self.bank_MD).topk(count, largest=False).indices for part in parts])


class PatchCore(OnePassModel):
    """PatchCore: one pass over good images fills a bank of patches, thinned to a coreset.

    Args:
        backbone: Arguments of ``models.features.backbones.Backbone``.
        coreset_ratio: Share of all patches that the bank keeps, in (0, 1].
        num_neighbors: Neighbours that weigh an image's score; 1 turns weighing off. At least 1.

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
        self.collected: list[Tensor] = []

    def origin(self) -> dict[str, str]:
        """Say where the backbone's weights came from."""
        return self.model.backbone.origin

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe images (B, D) by the mean of their patches."""
        return self.model.embed(image_B3HW).mean(dim=(2, 3))

    def collect(self, image_B3HW: Tensor) -> None:
        """Keep the patches of a batch."""
        self.collected.append(self.describe(image_B3HW).cpu())

    def describe(self, image_B3HW: Tensor) -> Tensor:
        """List the patches of a batch: (N, D)."""
        return self.model.embed(image_B3HW).permute(0, 2, 3, 1).flatten(0, 2)

    def fit(self) -> None:
        """Thin the collected patches to a coreset and make it the bank; do nothing where none were collected."""
        if not self.collected:
            return
        patch_ND = self.take()
        count = max(1, round(self.coreset_ratio * len(patch_ND)))
        start = int(torch.randint(len(patch_ND), ()))
        picks = self.choose(patch_ND, count, start, projection(*patch_ND.shape))
        self.model.set_bank(patch_ND[picks].to(self.device))

    def take(self) -> Tensor:
        """Give all patches that were collected (N, D), and forget them: twice would be too much for the memory."""
        patch_ND = torch.cat(self.collected)
        self.collected.clear()
        return patch_ND

    def choose(self, patch_ND: Tensor, count: int, start: int, matrix_Dd: Tensor | None) -> list[int]:
        """Choose patches that lie far apart, in their order: a longer choice begins with a shorter one.

        Args:
            patch_ND: To choose from.
            count: How many.
            start: The first.
            matrix_Dd: Distances are measured after this projection; None: as they are.
        """
        short_ND = (patch_ND if matrix_Dd is None else patch_ND @ matrix_Dd).to(self.device)
        return list(track(k_center_greedy(short_ND, count, start), "choosing the coreset", total=count))
