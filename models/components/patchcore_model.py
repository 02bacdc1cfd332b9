"""The network of PatchCore: features, the bank, and the search (Roth et al. 2022, arXiv 2106.08265).

Letters: B batch, C channels, S sizes, h and w patches along the axes of one, P patches of an image in all sizes, D
features of a patch, M patches in the bank, N patches that are asked for, K neighbours, Q patches that score an image.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from anomalib.data import InferenceBatch
from anomalib.models.components import DynamicBufferMixin
from torch.nn import functional as F

from datamodules.progress import track
from models.errors import UntrainedError
from models.features.in_parts import REUSED, few_at_a_time
from models.features.last_seen import LastSeen
from models.features.precision import full_precision

from .bank_prefix import crowding, worst_by_size
from .bank_search import ROWS
from .graph_search import BankGraph, settle
from .maps import SmoothMap
from .nearest import TensorSearch, search_plainly
from .padding import SeesPadding
from .placing import Placing
from .sizes import counted, flat, listed, resized

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from models.features.joined_backbone import Features

LARGE = 4096  # patches of a bank, from which it is faster to arrange it for searches
LARGE_FOR_GRAPHS = 8192  # from which that is faster in a bundle, too, which needs a second graph then
TOP = 10  # patches whose mean is a score: a defect that the eye finds covers as many, noise does not
NEVER = -1.0  # stands for the distance of padding: lower than any other, and weighed still
TIMED = 3  # times that a search is timed
LINKS = 16  # neighbours that are looked for, at least: so ties fall alike however many of them weigh a score


class Matches(NamedTuple):
    """All of a prediction that does not depend on the number of neighbours.

    Attributes:
        distance_BSQ: Of each image's worst patches, in every size, to their matches in the bank.
        index_BSQ: The matches.
        worst_BSQD: The worst patches.
        map_BHW: The anomaly map.
    """

    distance_BSQ: Tensor
    index_BSQ: Tensor
    worst_BSQD: Tensor
    map_BHW: Tensor


class PatchCoreModel(DynamicBufferMixin, SeesPadding):
    """The network: features, the bank, and the search.

    Args:
        backbone: From images in [0, 1] to feature maps.
        num_neighbors: Of the bank's nearest patch, to weigh the image's score by how crowded its neighbourhood is; 1
            turns that off.
        scales: Sizes that images are looked at in, as factors of their own.
        position: Weight of a patch's place beside its features; see ``components.placing``.
        score: ``max``: the worst patch of an image is its score; ``top_mean``: the mean of the ``TOP`` worst ones is.
        search: ``exact``, or ``hnsw``: a graph of the bank finds most patches; see ``components.graph_search``.
    """

    bank_MD: Tensor
    bank_square_M: Tensor
    neighbor_MK: Tensor
    image_M: Tensor

    def __init__(
        self,
        backbone: Features,
        num_neighbors: int,
        scales: Sequence[float] = (1,),
        position: float = 0,
        score: str = "max",
        search: str = "exact",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.num_neighbors = num_neighbors
        self.scales = tuple(scales)
        self.placing = Placing(position)
        self.top = TOP if score == "top_mean" else 1
        self.smooth_map = SmoothMap()
        self._embedded: list[LastSeen[Tensor]] = [LastSeen() for _ in scales]  # several measures ask for the same
        self._search: TensorSearch | None = None  # made when it is first asked, of the bank that there is
        self.graph = BankGraph(search == "hnsw")
        self.register_buffer("bank_MD", torch.empty(0, 0))
        self.register_buffer("bank_square_M", torch.empty(0))  # cached: half of every distance
        self.register_buffer("neighbor_MK", torch.empty(0, 0, dtype=torch.int64))  # of every patch in the bank
        self.register_buffer("image_M", torch.empty(0, dtype=torch.int64))  # that it came from; -1: nobody knows

    def embed(self, image_B3HW: Tensor) -> Tensor:
        """Describe every patch by the features around it, of all layers, and by its place: (B, D, h, w)."""
        return self.placing(self.features(image_B3HW))  # type: ignore[no-any-return]  # a module's call has no type

    def features(self, image_B3HW: Tensor) -> Tensor:
        """Describe every patch by the features around it, of all layers, wherever it lies: (B, D, h, w)."""
        features = [F.avg_pool2d(feature, 3, 1, 1) for feature in self.backbone(image_B3HW)]
        size = features[0].shape[-2:]
        rest = [F.interpolate(feature, size=size, mode="bilinear") for feature in features[1:]]
        return torch.cat([features[0], *rest], dim=1)

    def embed_sizes(self, image_B3HW: Tensor) -> list[Tensor]:
        """Describe every patch in every size: (B, D, h, w) for each."""
        return [self.embed_size(image_B3HW, place) for place in range(len(self.scales))]

    def embed_size(self, image_B3HW: Tensor, place: int) -> Tensor:
        """Describe every patch in one of the sizes: (B, D, h, w)."""
        scale = self.scales[place]
        at_once = int(REUSED / (4 * scale**2)) // image_B3HW.shape[1:].numel()  # in memory that is used again
        return self._embedded[place](
            image_B3HW, lambda: few_at_a_time(lambda part: self.embed(resized(part, scale)), image_B3HW, at_once)
        )

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images: raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W), as distances between features.

        Raises:
            UntrainedError: The bank is empty.
        """
        if not len(self.bank_MD):
            raise UntrainedError("Expected a bank of good patches, but it is empty; train first, or load a checkpoint.")
        matches = self.match(image_B3HW)
        return InferenceBatch(pred_score=self.score(matches), anomaly_map=matches.map_BHW)

    def describe(self, image_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """List the patches of images (N, D), those of all sizes of one together, and which image each is of (N,).

        Patches of padding are left out.
        """
        image_B3HW, inside_BHW = self.open(image_B3HW)
        grids_BDhw = self.embed_sizes(image_B3HW)
        patch_BPD, cells_Bhw = listed(grids_BDhw), counted(grids_BDhw, inside_BHW)
        image_BP = torch.arange(len(patch_BPD), device=patch_BPD.device).unsqueeze(1).expand(patch_BPD.shape[:2])
        if cells_Bhw is None:
            return patch_BPD.flatten(0, 1), image_BP.flatten()
        inside_BP = flat(cells_Bhw)
        return patch_BPD[inside_BP], image_BP[inside_BP]

    def match(self, image_B3HW: Tensor) -> Matches:
        """Compare every patch with the bank; those of padding are never the worst, and tell the map nothing."""
        image_B3HW, inside_BHW = self.open(image_B3HW)
        grids_BDhw = self.embed_sizes(image_B3HW)
        cells_Bhw = counted(grids_BDhw, inside_BHW)
        patch_BPD = listed(grids_BDhw)
        shapes = [(grid.shape[2], grid.shape[3]) for grid in grids_BDhw]
        with full_precision(patch_BPD):
            square_BP = self._walk(patch_BPD, shapes, cells_Bhw) if self._walks(patch_BPD) else self.search(patch_BPD)
        return self.matches(patch_BPD, square_BP, shapes, image_B3HW.shape[-2:], cells_Bhw)

    def matches(
        self,
        patch_BPD: Tensor,
        square_BP: Tensor,
        shapes: Sequence[tuple[int, int]],
        size: Sequence[int],
        cells_Bhw: list[Tensor] | None,
    ) -> Matches:
        """Say what comes of a search.

        Args:
            patch_BPD: What was searched for.
            square_BP: Squared distances to the nearest patches of the bank.
            shapes: Patches along the axes, (h, w), of every size.
            size: Height and width of the images.
            cells_Bhw: Which patches of every size are of images; None: all are.
        """
        counts = [height * width for height, width in shapes]
        with full_precision(patch_BPD):
            found_BP = square_BP.sqrt()
            distance_BP = found_BP if cells_Bhw is None else found_BP.masked_fill(~flat(cells_Bhw), NEVER)
            parts_BP = torch.split(distance_BP, counts, dim=1)
            firsts = [sum(counts[:place]) for place in range(len(counts))]
            top = min(self.top, *counts)
            worst_BSQ = torch.stack(
                [first + worst_places(part_BP, top) for first, part_BP in zip(firsts, parts_BP, strict=True)], dim=1
            )
            worst_BN = worst_BSQ.flatten(1)
            distances_Bhw = [part.view(-1, *shape) for part, shape in zip(parts_BP, shapes, strict=True)]
            worst_BND = patch_BPD.gather(1, worst_BN.unsqueeze(2).expand(-1, -1, patch_BPD.shape[2]))
            return Matches(
                distance_BSQ=distance_BP.gather(1, worst_BN).view(worst_BSQ.shape),
                index_BSQ=self.nearest(worst_BND.flatten(0, 1)).view(worst_BSQ.shape),
                worst_BSQD=worst_BND.view(*worst_BSQ.shape, -1),
                map_BHW=self._map(distances_Bhw, size, cells_Bhw),
            )

    def _map(self, distances_Bhw: list[Tensor], size: Sequence[int], cells_Bhw: list[Tensor] | None) -> Tensor:
        """Average the maps of all sizes, as large as the image, and smooth them: (B, H, W)."""
        height, width = size
        blurred_BHW: Tensor
        if cells_Bhw is not None:
            pairs = zip(distances_Bhw, cells_Bhw, strict=True)
            maps_BHW = [self.smooth_map(distance_Bhw, height, width, cells) for distance_Bhw, cells in pairs]
            blurred_BHW = sum(maps_BHW[1:], maps_BHW[0]) / len(maps_BHW)
            return blurred_BHW
        maps_BHW = [self.smooth_map.enlarge(distance_Bhw, height, width) for distance_Bhw in distances_Bhw]
        blurred_BHW = self.smooth_map.blur(sum(maps_BHW[1:], maps_BHW[0]) / len(maps_BHW))
        return blurred_BHW

    def search(self, patch_BPD: Tensor) -> Tensor:
        """Measure how far every patch is from the nearest one of the bank, squared and exactly: (B, P).

        On a processor a large bank is arranged for that, once; in a graph and on other devices all are compared.
        """
        asked_ND = patch_BPD.flatten(0, 1)
        quick = not torch.compiler.is_exporting() and self._is_worth_arranging() and not asked_ND.requires_grad
        square_N = self._arranged(asked_ND) if quick else search_plainly(asked_ND, self.bank_MD, self._squares())
        return square_N.view(-1, patch_BPD.shape[1])

    def _walks(self, patch_BPD: Tensor) -> bool:
        """Tell whether these are searched for by the graph of the bank, and those that decide exactly."""
        plain = torch.compiler.is_exporting() or patch_BPD.requires_grad or not self._is_linked
        return not plain and self.graph.serves(self.bank_MD)

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch says nothing of its type
    def _walk(self, patch_BPD: Tensor, shapes: Sequence[tuple[int, int]], cells_Bhw: list[Tensor] | None) -> Tensor:
        """Measure how far patches are from the bank, squared (B, P): exactly, where it decides about an image."""
        bound_BP = self.graph.search(patch_BPD.flatten(0, 1), self.bank_MD).view(patch_BPD.shape[:2])
        counts, inside_BP = [height * width for height, width in shapes], None if cells_Bhw is None else flat(cells_Bhw)
        return settle(
            bound_BP,
            counts,
            self.top,
            inside_BP,
            lambda image_R, patch_RT: self.search(patch_BPD[image_R.unsqueeze(1), patch_RT]),
        )

    def arrange(self) -> None:
        """Link the bank for walks, where they are wanted."""
        self.graph.arrange(self.bank_MD, self.search)

    def is_searched_outside_graphs(self) -> bool:
        """Tell whether the bank is so large that a bundle searches it beside its graphs."""
        return len(self.bank_MD) >= LARGE_FOR_GRAPHS

    def _is_worth_arranging(self) -> bool:
        return is_worth_arranging(self.bank_MD) and self._is_linked

    @property
    def _is_linked(self) -> bool:
        """Whether the neighbours of every patch are noted: so they are, unless the bank is to be used for a moment."""
        return len(self.neighbor_MK) == len(self.bank_MD)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take a bank, which may be written over the old one; earlier versions did not note whose patches it holds."""
        self._search = None
        bank_MD = state_dict.get(f"{prefix}bank_MD", self.bank_MD)
        state_dict.setdefault(f"{prefix}image_M", torch.full((len(bank_MD),), -1))
        state_dict.setdefault(f"{prefix}placing.unit", torch.tensor(0.0))
        super()._load_from_state_dict(state_dict, prefix, *args)

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch says nothing of its type
    def _arranged(self, asked_ND: Tensor) -> Tensor:
        if self._search is None or self._search.bank_MD is not self.bank_MD:
            self._search = TensorSearch(self.bank_MD)
        return self._search(asked_ND).square_N

    def nearest(self, patch_ND: Tensor) -> Tensor:
        """Find the nearest patch of the bank, for a few patches: (N,)."""
        return torch.addmm(self._squares(), -2 * patch_ND, self.bank_MD.T).argmin(dim=1)

    def _squares(self) -> Tensor:
        """Return the squared norms of the bank (M,): noted ones, or in a graph as a part of it.

        There a runtime computes them, once, of the bank that it holds: of one not rounded they would not cancel.
        """
        return self.bank_MD.square().sum(dim=1) if torch.compiler.is_exporting() else self.bank_square_M

    def score(self, matches: Matches) -> Tensor:
        """Score images (B,) by their worst patches, each weighed by the neighbourhood of its match (equation 7)."""
        if self.num_neighbors == 1:
            return self._pool(matches.distance_BSQ, matches.distance_BSQ)
        with full_precision(matches.worst_BSQD):
            index_BSQ = matches.index_BSQ
            neighbor_BSQK = self.neighbor_MK[index_BSQ] if self._is_linked else self._neighbors(index_BSQ)
            apart_BSQK = (matches.worst_BSQD.unsqueeze(3) - self.bank_MD[neighbor_BSQK]).norm(dim=4)
            weight_BSQ = 1 - apart_BSQK.softmax(dim=3)[..., 0]
            return self._pool(weight_BSQ * matches.distance_BSQ, matches.distance_BSQ)

    def _pool(self, value_BSQ: Tensor, distance_BSQ: Tensor) -> Tensor:
        """Average what the worst patches of every size say, and then over sizes: (B,). Padding has no say."""
        value_BS: Tensor
        if self.pads and self.top > 1:
            inside_BSQ = distance_BSQ > NEVER
            value_BS = (value_BSQ * inside_BSQ).sum(dim=2) / inside_BSQ.sum(dim=2).clamp_min(1)
        else:
            value_BS = value_BSQ.mean(dim=2)
        return value_BS.mean(dim=1)

    def score_by_size(self, image_B3HW: Tensor, sizes: Sequence[int]) -> Tensor:
        """Score images (B, S) by each of the banks that this one begins with, as runs with such banks would.

        Args:
            image_B3HW: In [0, 1]; padding may be marked.
            sizes: Of banks, ascending, at most that of this one.
        """
        image_B3HW, inside_BHW = self.open(image_B3HW)
        grids_BDhw = self.embed_sizes(image_B3HW)
        cells_Bhw = counted(grids_BDhw, inside_BHW)
        score_BSg = image_B3HW.new_zeros(len(image_B3HW), len(sizes), len(grids_BDhw))
        for place, grid_BDhw in enumerate(grids_BDhw):
            for image, patch_PD in enumerate(grid_BDhw.flatten(2).transpose(1, 2)):
                counted_PD = patch_PD if cells_Bhw is None else patch_PD[cells_Bhw[place][image].flatten()]
                score_BSg[image, :, place] = score_BSg.new_tensor(self._scores_by_size(counted_PD, sizes))
        return score_BSg.mean(dim=2)

    def _scores_by_size(self, patch_PD: Tensor, sizes: Sequence[int]) -> list[float]:
        with full_precision(patch_PD):
            worst_SQ = worst_by_size(patch_PD, self.bank_MD, self.bank_square_M, sizes, self.top)
            weighed_SQ = [
                [
                    distance
                    * crowding(patch_PD[patch], self.bank_MD[:size], self.bank_square_M[:size], self.num_neighbors)
                    for distance, patch in worst_Q
                ]
                for size, worst_Q in zip(sizes, worst_SQ, strict=True)
            ]
            return [sum(weighed_Q) / len(weighed_Q) for weighed_Q in weighed_SQ]

    def search_seconds(self, image_B3HW: Tensor, size: int) -> float:
        """Time a search for the patches of images in the first ``size`` patches of the bank: the least of a few."""
        bank_MD, asked_ND = self.bank_MD[:size], listed(self.embed_sizes(self.open(image_B3HW)[0])).flatten(0, 1)
        square_M = self.bank_square_M[:size]
        arranged = TensorSearch(bank_MD) if is_worth_arranging(bank_MD) else None
        spent = []
        for _ in range(TIMED):
            started = time.perf_counter()
            found = search_plainly(asked_ND, bank_MD, square_M) if arranged is None else arranged(asked_ND).square_N
            float(found.sum())  # waits for the device
            spent.append(time.perf_counter() - started)
        return min(spent)

    def set_bank(self, bank_MD: Tensor, image_M: Tensor | None = None) -> None:
        """Take these patches as the bank; note their norms, and each one's nearest neighbours (itself first).

        Args:
            bank_MD: The patches.
            image_M: The image that each came from, by its place among those that were learnt; None: nobody knows.
        """
        self.graph.clear()
        self.bank_MD = bank_MD.contiguous()
        unknown_M = torch.full((len(bank_MD),), -1)
        self.image_M = (unknown_M if image_M is None else image_M).to(bank_MD.device)
        self.bank_square_M = bank_MD.square().sum(dim=1)
        self.neighbor_MK = self.link(self._links)[:, : self.num_neighbors].clone()

    @contextmanager
    def only(self, stays_M: Tensor, more_ND: Tensor | None = None) -> Iterator[None]:
        """Judge by a part of the bank (M,), and other patches (N, D), for a moment; by all of it again afterwards."""
        held = (self.bank_MD, self.bank_square_M, self.neighbor_MK)
        self.bank_MD = self.bank_MD[stays_M] if more_ND is None else torch.cat([self.bank_MD[stays_M], more_ND])
        self.bank_square_M = self.bank_MD.square().sum(dim=1)
        self.neighbor_MK = self.neighbor_MK[:0]
        try:
            yield
        finally:
            self.bank_MD, self.bank_square_M, self.neighbor_MK = held

    @property
    def _links(self) -> int:
        return min(max(self.num_neighbors, LINKS), len(self.bank_MD))

    def _neighbors(self, index_BSQ: Tensor) -> Tensor:
        """Find the nearest patches (B, S, Q, K) of a few patches of the bank: itself, then others."""
        apart_BSQM = torch.cdist(self.bank_MD[index_BSQ.flatten()], self.bank_MD).view(*index_BSQ.shape, -1)
        return apart_BSQM.topk(self._links, largest=False).indices[..., : self.num_neighbors]

    def link(self, count: int) -> Tensor:
        """Find the nearest patches (M, count) of every patch in the bank: itself, then others."""
        parts = track(torch.split(self.bank_MD, ROWS), "linking neighbours")
        return torch.cat([torch.cdist(part, self.bank_MD).topk(count, largest=False).indices for part in parts])


def is_worth_arranging(bank_MD: Tensor) -> bool:
    """Tell whether searches of a bank are faster once it is arranged for them."""
    return len(bank_MD) >= LARGE and bank_MD.device.type == "cpu"


def worst_places(distance_BP: Tensor, count: int) -> Tensor:
    """Find the patches that are farthest from the bank: (B, count)."""
    if count == 1:  # of patches that lie equally far, always the first
        return distance_BP.argmax(dim=1, keepdim=True)
    return distance_BP.topk(count, dim=1).indices
