"""PatchCore: a patch is anomalous where no patch of a good image looks like it (Roth et al. 2022, arXiv 2106.08265).

An image may be looked at in several sizes: small defects show where it is enlarged, large ones where it is not. Patches
of all sizes share one bank; scores and maps are means over the sizes.

Letters: B batch, C channels, S sizes, h and w patches along the axes of one, P patches of an image in all sizes, D
features of a patch, M patches in the bank, K neighbours.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from anomalib.data import InferenceBatch
from anomalib.models.components import DynamicBufferMixin
from torch import nn
from torch.nn import functional as F

from datamodules.progress import tell, track

from .components.bank_plan import Plan, check_bank, search_seconds
from .components.coreset import k_center_greedy, projection
from .components.maps import SmoothMap
from .components.memory import read_size, spare
from .components.nearest import ROWS, BankSearch, search_plainly
from .components.sizes import check_scales, listed, resized
from .components.spilled import SpilledPoints
from .components.thinning import Thinning
from .errors import UntrainedError
from .features.backbones import Backbone
from .features.precision import full_precision
from .one_pass import OnePassModel, check_something

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from torch import Tensor

LARGE = 4096  # patches of a bank, from which it is faster to arrange it for searches
LINKS = 16  # neighbours that are looked for, at least: so ties fall alike however many of them weigh a score


class Matches(NamedTuple):
    """All of a prediction that does not depend on the number of neighbours.

    Attributes:
        distance_BS: Of each image's worst patch, in every size, to its match in the bank.
        index_BS: The match.
        worst_BSD: The worst patch.
        map_BHW: The anomaly map.
    """

    distance_BS: Tensor
    index_BS: Tensor
    worst_BSD: Tensor
    map_BHW: Tensor


class PatchCoreModel(DynamicBufferMixin, nn.Module):
    """The network: features, the bank, and the search.

    Args:
        backbone: From images in [0, 1] to feature maps.
        num_neighbors: Of the bank's nearest patch, to weigh the image's score by how crowded its neighbourhood is; 1
            turns that off.
        scales: Sizes that images are looked at in, as factors of their own.
    """

    bank_MD: Tensor
    bank_square_M: Tensor
    neighbor_MK: Tensor
    image_M: Tensor

    def __init__(self, backbone: Backbone, num_neighbors: int, scales: Sequence[float] = (1,)) -> None:
        super().__init__()
        self.backbone = backbone
        self.num_neighbors = num_neighbors
        self.scales = tuple(scales)
        self.smooth_map = SmoothMap()
        self._search: BankSearch | None = None  # made when it is first asked, of the bank that there is
        self.register_buffer("bank_MD", torch.empty(0, 0))
        self.register_buffer("bank_square_M", torch.empty(0))  # cached: half of every distance
        self.register_buffer("neighbor_MK", torch.empty(0, 0, dtype=torch.int64))  # of every patch in the bank
        self.register_buffer("image_M", torch.empty(0, dtype=torch.int64))  # that it came from; -1: nobody knows

    def embed(self, image_B3HW: Tensor) -> Tensor:
        """Describe every patch by the features around it, of all layers: (B, D, h, w)."""
        features = [F.avg_pool2d(feature, 3, 1, 1) for feature in self.backbone(image_B3HW)]
        size = features[0].shape[-2:]
        rest = [F.interpolate(feature, size=size, mode="bilinear") for feature in features[1:]]
        return torch.cat([features[0], *rest], dim=1)

    def embed_sizes(self, image_B3HW: Tensor) -> list[Tensor]:
        """Describe every patch in every size: (B, D, h, w) for each."""
        # The first size comes last: its features are the ones that ``embedding`` asks the backbone for once more.
        return [self.embed(resized(image_B3HW, scale)) for scale in reversed(self.scales)][::-1]

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
        grids_BDhw = self.embed_sizes(image_B3HW)
        patch_BPD = listed(grids_BDhw)
        counts = [grid.shape[2] * grid.shape[3] for grid in grids_BDhw]
        with full_precision(patch_BPD):
            distance_BP = self.search(patch_BPD).sqrt()
            parts_BP = torch.split(distance_BP, counts, dim=1)
            worst_BS = torch.stack([part_BP.argmax(dim=1) for part_BP in parts_BP], dim=1)
            worst_BS = worst_BS + worst_BS.new_tensor([sum(counts[:place]) for place in range(len(counts))])
            distances_Bhw = [part.view(-1, *grid.shape[2:]) for part, grid in zip(parts_BP, grids_BDhw, strict=True)]
            worst_BSD = patch_BPD.gather(1, worst_BS.unsqueeze(2).expand(-1, -1, patch_BPD.shape[2]))
            return Matches(
                distance_BS=distance_BP.gather(1, worst_BS),
                index_BS=self.nearest(worst_BSD.flatten(0, 1)).view(worst_BS.shape),
                worst_BSD=worst_BSD,
                map_BHW=self._map(distances_Bhw, image_B3HW.shape[-2:]),
            )

    def _map(self, distances_Bhw: list[Tensor], size: Sequence[int]) -> Tensor:
        """Average the maps of all sizes, as large as the image, and smooth them: (B, H, W)."""
        height, width = size
        maps_BHW = [self.smooth_map.enlarge(distance_Bhw, height, width) for distance_Bhw in distances_Bhw]
        blurred_BHW: Tensor = self.smooth_map.blur(sum(maps_BHW[1:], maps_BHW[0]) / len(maps_BHW))
        return blurred_BHW

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

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take a bank, which may be written over the old one; earlier versions did not note whose patches it holds."""
        self._search = None
        bank_MD = state_dict.get(f"{prefix}bank_MD", self.bank_MD)
        state_dict.setdefault(f"{prefix}image_M", torch.full((len(bank_MD),), -1))
        super()._load_from_state_dict(state_dict, prefix, *args)

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch says nothing of its type
    def _arranged(self, asked_ND: Tensor) -> Tensor:
        if self._search is None or self._search.bank_MD is not self.bank_MD:
            self._search = BankSearch(self.bank_MD)
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
        """Score images (B,) by their worst patch, weighed by the neighbourhood of its match (equation 7)."""
        if self.num_neighbors == 1:
            return matches.distance_BS.mean(dim=1)
        with full_precision(matches.worst_BSD):
            neighbor_BSK = self.neighbor_MK[matches.index_BS]
            apart_BSK = (matches.worst_BSD.unsqueeze(2) - self.bank_MD[neighbor_BSK]).norm(dim=3)
            weight_BS = 1 - apart_BSK.softmax(dim=2)[:, :, 0]
            score_B: Tensor = (weight_BS * matches.distance_BS).mean(dim=1)
            return score_B

    def set_bank(self, bank_MD: Tensor, image_M: Tensor | None = None) -> None:
        """Take these patches as the bank; note their norms, and each one's nearest neighbours (itself first).

        Args:
            bank_MD: The patches.
            image_M: The image that each came from, by its place among those that were learnt; None: nobody knows.
        """
        self.bank_MD = bank_MD.contiguous()
        unknown_M = torch.full((len(bank_MD),), -1)
        self.image_M = (unknown_M if image_M is None else image_M).to(bank_MD.device)
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
        bank_size: Patches that the bank keeps, instead of a share; None: the share decides.
        memory: That collecting and thinning may take, such as ``4GiB``; None: half of what is free. Where all patches
            do not fit, they are thinned as they come: see ``components.thinning``.
        exact: Where all patches do not fit, keep them on the disk instead, for the bank that greedy selection makes.
        scales: Sizes that images are looked at in, as factors of ``data.image_size``; each above 0. All take their part
            of the time, by their pixels.

    Raises:
        ValueError: An argument is out of range.
    """

    grows: ClassVar[bool] = True

    def __init__(
        self,
        backbone: Mapping[str, Any],
        coreset_ratio: float = 0.1,
        num_neighbors: int = 9,
        bank_size: int | None = None,
        memory: str | None = None,
        exact: bool = False,
        scales: Sequence[float] = (1,),
    ) -> None:
        super().__init__()
        check_bank(coreset_ratio, num_neighbors, bank_size)
        check_scales(scales)
        self.coreset_ratio = coreset_ratio
        self.bank_size = bank_size
        self.memory = None if memory is None else read_size(memory, "model.memory")
        self.model: PatchCoreModel = PatchCoreModel(Backbone(**backbone), num_neighbors, scales)
        self.collected: list[Tensor] = []
        self.exact = exact
        self._plan: Plan | None = None
        self._thinning: Thinning | None = None
        self._spilled: SpilledPoints | None = None
        self._images = 0

    def origin(self) -> dict[str, str]:
        """Say where the backbone's weights came from."""
        return self.model.backbone.origin

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe images (B, D) by the mean of their patches, in the first size."""
        return self.model.embed(resized(image_B3HW, self.model.scales[0])).mean(dim=(2, 3))

    def collect(self, image_B3HW: Tensor) -> None:
        """Keep the patches of a batch; where those of all do not fit into memory, keep what stands in for them.

        Raises:
            DataError: Not even that would fit.
        """
        started = time.perf_counter()
        patch_ND = self.describe(image_B3HW)
        if self._plan is None:
            self._plan = self._make_plan(patch_ND, len(image_B3HW), time.perf_counter() - started)
        first, self._images = self._images, self._images + len(image_B3HW)
        if self._spilled is not None:
            self._spilled.append(patch_ND)
        elif self._thinning is None:
            self.collected.append(patch_ND.cpu())
        else:
            image_B = torch.arange(first, self._images, device=patch_ND.device)
            self._thinning.add(patch_ND, image_B.repeat_interleave(len(patch_ND) // len(image_B3HW)))

    def collecting_state(self) -> dict[str, Any] | None:
        """Return the patches so far, or what stands in for them; None where they are on the disk already."""
        if self._plan is None or self._spilled is not None:
            return None
        return {
            "plan": self._plan._asdict(),
            "images": self._images,
            "patches": torch.cat(self.collected) if self.collected else None,
            "thinning": None if self._thinning is None else self._thinning.state(),
        }

    def load_collecting_state(self, state: dict[str, Any]) -> None:
        """Take what ``collecting_state`` returned."""
        self._plan, self._images = Plan(**state["plan"]), state["images"]
        self.collected = [] if state["patches"] is None else [state["patches"]]
        if state["thinning"] is not None:
            self._thinning = Thinning(self._plan.wanted, self._pick)
            self._thinning.load_state(state["thinning"], self.device)

    def _make_plan(self, patch_ND: Tensor, images: int, seconds: float) -> Plan:
        """Decide, from the first batch, whether all patches will be held; say so where it is worth saying."""
        total = len(patch_ND) * self.batches
        wanted = self.bank_size or max(1, round(self.coreset_ratio * total))
        memory = spare() if self.memory is None else self.memory
        plan = Plan(total, wanted, patch_ND.shape[1], memory, exact=self.exact)
        if plan.spills:
            self._spilled = SpilledPoints(patch_ND.shape[1], total)
        elif not plan.fits:
            plan.check()
            self._thinning = Thinning(wanted, self._pick)
        if plan.is_large:
            tell(plan.describe(seconds * self.batches, search_seconds(patch_ND[: len(patch_ND) // images])))
        return plan

    def describe(self, image_B3HW: Tensor) -> Tensor:
        """List the patches of a batch, those of all sizes of an image together: (N, D)."""
        return listed(self.model.embed_sizes(image_B3HW)).flatten(0, 1)

    def fit(self) -> None:
        """Thin the collected patches to a coreset and make it the bank; do nothing where none were collected."""
        self._keep_unfinished()
        self._plan, self._images, thinning, self._thinning = None, 0, self._thinning, None
        patch_ND: Tensor | SpilledPoints
        if thinning is not None and thinning.seen:
            patch_ND, image_N = thinning.take()
            picks = self._pick(patch_ND, self._count(thinning.seen, len(patch_ND)))
            self.learnt = self.take_coming()
            image_M = image_N[picks].cpu() if self.learnt else None
            tell(f"{thinning.seen:,} patches were thinned to {len(picks):,} as they came.")
        elif self._spilled is not None or self.collected:
            spilled, self._spilled = self._spilled, None
            patch_ND = self.take() if spilled is None else spilled
            picks = self._pick(patch_ND, self._count(len(patch_ND), len(patch_ND)))
            self.learnt = []
            image_M = self._images_of(picks, len(patch_ND))
        else:
            return
        self.model.set_bank(patch_ND[picks].to(self.device), image_M)

    def _count(self, seen: int, held: int) -> int:
        """Say how many patches the bank gets, of so many that were seen and are held."""
        return min(held, self.bank_size or max(1, round(self.coreset_ratio * seen)))

    def _pick(self, patch_ND: Tensor | SpilledPoints, count: int) -> list[int]:
        """Choose patches, the first at random."""
        start = int(torch.randint(len(patch_ND), ()))
        if isinstance(patch_ND, torch.Tensor):
            return self.choose(patch_ND, count, start, projection(*patch_ND.shape))
        patch_ND.shown_by(projection(len(patch_ND), patch_ND.dimensions), self.device)
        picks = list(track(k_center_greedy(patch_ND, count, start), "choosing the coreset", total=count))
        patch_ND.shown_by(None, self.device)
        return picks

    def extend(self) -> None:
        """Add a share of the patches that were collected: those that lie farthest from all that the bank holds.

        The bank itself stays as it is, so that to forget the same images gives it back.
        """
        self._plan, self._images = None, 0
        patch_ND = self.take().to(self.device)
        square_N = self.model.search(patch_ND.unsqueeze(0)).squeeze(0)
        count = max(1, round(self.coreset_ratio * len(patch_ND)))
        picks = list(k_center_greedy(patch_ND, count, int(square_N.argmax()), square_N))
        images = [self.model.image_M, self._images_of(picks, len(patch_ND)).to(self.device)]
        self.model.set_bank(torch.cat([self.model.bank_MD, patch_ND[picks]]), torch.cat(images))

    def forget(self, paths: Collection[str], read: Callable[[str], Tensor]) -> None:
        """Take the patches of images out of the bank; those that stand in for them in other images do not come back.

        Raises:
            DataError: Nothing would be left.
        """
        del read
        gone_I = torch.tensor([path in paths for path in self.learnt] + [False])  # the last: of nobody knows whom
        place_I = (~gone_I).cumsum(0) - 1
        place_I[-1] = -1
        image_M = self.model.image_M.cpu()
        stays_M = ~gone_I[image_M]
        check_something(int(stays_M.sum()), "patches of a bank")
        self.learnt = [path for path in self.learnt if path not in paths]
        self.model.set_bank(self.model.bank_MD[stays_M.to(self.device)], place_I[image_M[stays_M]])

    def _images_of(self, picks: list[int], total: int) -> Tensor:
        """Tell of which image picks of collected patches are, by its place in ``learnt``, to which those are added."""
        coming, first = self.take_coming(), len(self.learnt)
        self.learnt += coming
        return torch.tensor(picks) // (total // len(coming)) + first if coming else torch.full((len(picks),), -1)

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
        short_ND = (patch_ND if matrix_Dd is None else patch_ND @ matrix_Dd.to(patch_ND.device)).to(self.device)
        return list(track(k_center_greedy(short_ND, count, start), "choosing the coreset", total=count))
