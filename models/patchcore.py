"""PatchCore: a patch is anomalous where no patch of a good image looks like it (Roth et al. 2022, arXiv 2106.08265).

An image may be looked at in several sizes: small defects show where it is enlarged, large ones where it is not. Patches
of all sizes share one bank; scores and maps are means over the sizes. ``components.patchcore_model`` has the network.

Letters: B batch, P patches of an image in all sizes, D features of a patch, N patches, M patches in the bank.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch

from datamodules.errors import DataError
from datamodules.progress import tell, track
from models.errors import key

from .components.bank_plan import Plan, check_bank, search_seconds
from .components.bank_prefix import halved
from .components.copies import COPIES, check_choice, describe_copies
from .components.coreset import k_center_greedy, projection
from .components.displaced import displaced
from .components.gathered import GatheredPoints
from .components.memory import read_size, spare
from .components.patchcore_graphs import plan_searched
from .components.patchcore_model import PatchCoreModel
from .components.sizes import check_scales
from .components.spilled import SpilledPoints
from .components.thinning import Thinning
from .components.tiled import Tiling
from .features.joined_backbone import build_features, side_multiple
from .one_pass import OnePassModel, check_something

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import pandas as pd
    from torch import Tensor

    from .account import Account
    from .components.tiled import Cutting
    from .export_plan import ExportPlan


PART = 16_384  # patches that are thinned, or searched for, at a time


class PatchCore(OnePassModel):
    """PatchCore: one pass over good images fills a bank of patches, thinned to a coreset.

    Args:
        backbone: Arguments of ``models.features.joined_backbone.build_features``.
        coreset_ratio: Share of all patches that the bank keeps, in (0, 1].
        num_neighbors: Neighbours that weigh an image's score; 1 turns weighing off. At least 1.
        bank_size: Patches that the bank keeps, instead of a share; None: the share decides.
        memory: That collecting and thinning may take, such as ``4GiB``; None: half of what is free. Where all patches
            do not fit, they are thinned as they come: see ``components.thinning``.
        exact: Where all patches do not fit, keep them on the disk instead, for the bank that greedy selection makes.
        scales: Sizes that images are looked at in, as factors of ``data.image_size``; each above 0. All take their part
            of the time, by their pixels.
        added_ratio: Share of the patches that the bank gets of images that are added to a trained model, in (0, 1]:
            more than of the training, since they are few.
        position: Weight of a patch's place beside its features, for parts that lie alike in all images; at least 0. See
            ``components.placing``.
        score: ``max``, the score of an image is that of its worst patch; or ``top_mean``, the mean of its ten worst.
        copies: Of good images that are learnt, too, where parts lie at all angles: ``none``, ``flips`` (mirrored left
            to right, top to bottom, and both) or ``turns`` (by a quarter, a half and three quarters).
        search: ``exact``, or ``hnsw``: quicker in large banks, with exact scores; see ``components.graph_search``.

    Raises:
        ValueError: An argument is out of range.
    """

    grows: ClassVar[bool] = True
    sees_ground: ClassVar[bool] = True

    def __init__(
        self,
        backbone: Mapping[str, Any],
        coreset_ratio: float = 0.1,
        num_neighbors: int = 9,
        bank_size: int | None = None,
        memory: str | None = None,
        exact: bool = False,
        scales: Sequence[float] = (1,),
        added_ratio: float = 0.3,
        position: float = 0,
        score: Literal["max", "top_mean"] = "max",
        copies: Literal["none", "flips", "turns"] = "none",
        search: Literal["exact", "hnsw"] = "exact",
    ) -> None:
        super().__init__()
        check_bank(coreset_ratio, num_neighbors, bank_size)
        check_scales(scales)
        check_choice("model.score", score, ("max", "top_mean"))
        check_choice("model.copies", copies, tuple(COPIES))
        check_choice("model.search", search, ("exact", "hnsw"))
        self.coreset_ratio = coreset_ratio
        if not 0 < added_ratio <= 1:
            raise ValueError(f"Expected model.added_ratio to be above 0 and at most 1, but found {added_ratio}.")
        self.added_ratio = added_ratio
        self.bank_size = bank_size
        self.memory = None if memory is None else read_size(memory, "model.memory")
        features = build_features(backbone)
        self.model: PatchCoreModel = PatchCoreModel(features, num_neighbors, scales, position, score, search)
        self.size_multiple = side_multiple(self.model.backbone)
        self.copies = copies
        self._gathered: GatheredPoints | None = None
        self.exact = exact
        self._plan: Plan | None = None
        self._thinning: Thinning | None = None
        self._spilled: SpilledPoints | None = None
        self._images = 0
        self._displaced: dict[str, Tensor] = {}  # what comes back without an image, where it was asked for
        self._counts: list[int] = []  # patches of each image that was collected

    def origin(self) -> dict[str, str]:
        """Say where the backbone's weights came from."""
        return self.model.backbone.origin

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe images (B, D) by the mean of their patches, in the first size."""
        return self.model.embed_size(image_B3HW, 0).mean(dim=(2, 3))

    def use_tiling(self, tiling: Cutting) -> None:
        """Judge images tile by tile from now on.

        Raises:
            ValueError: Places count, which would be places in a tile.
        """
        if self.model.placing.weight and isinstance(tiling, Tiling):
            raise ValueError(
                f"Expected {key('position')}=0 with tiling, where a patch has its place in a tile and not in the part, "
                f"but found {self.model.placing.weight:g}; leave tiling out, or cut the part out with tiling=face."
            )
        super().use_tiling(tiling)

    def collect(self, image_B3HW: Tensor) -> None:
        """Keep the patches of a batch; where those of all do not fit into memory, keep what stands in for them.

        Raises:
            DataError: Not even that would fit.
        """
        started = time.perf_counter()
        if self._plan is None and self.model.placing.weight:
            self.model.placing.learn(self.model.features(self.model.open(image_B3HW)[0]))
        patch_ND, image_N = describe_copies(self.describe, image_B3HW, self.copies)
        if self._plan is None:
            self._plan = self._make_plan(patch_ND, len(image_B3HW), time.perf_counter() - started)
        first, self._images = self._images, self._images + len(image_B3HW)
        self._counts += image_N.bincount(minlength=len(image_B3HW)).tolist()
        if self._spilled is not None:
            self._spilled.append(patch_ND)
        elif self._thinning is not None:
            self._thinning.add(patch_ND, first + image_N)
        else:
            if self._gathered is None:
                self._gathered = GatheredPoints(patch_ND.shape[1], self._plan.total)
            self._gathered.append(patch_ND)
            if not self._plan.holds(self._gathered.room):
                self._plan = self._hold_less(self._plan.memory)

    def collecting_state(self) -> dict[str, Any] | None:
        """Return the patches so far, or what stands in for them; None where they are on the disk already."""
        if self._plan is None or self._spilled is not None:
            return None
        return {
            "plan": self._plan._asdict(),
            "images": self._images,
            "counts": self._counts,
            "unit": float(self.model.placing.unit),
            "patches": None if self._gathered is None else self._gathered.points(),
            "thinning": None if self._thinning is None else self._thinning.state(),
        }

    def load_collecting_state(self, state: dict[str, Any]) -> None:
        """Take what ``collecting_state`` returned."""
        self._plan, self._images, self._counts = Plan(**state["plan"]), state["images"], state["counts"]
        self.model.placing.unit.fill_(state.get("unit", 0.0))
        if state["patches"] is not None:
            self._gathered = GatheredPoints(state["patches"].shape[1], max(self._plan.total, len(state["patches"])))
            self._gathered.append(state["patches"])
        if state["thinning"] is not None:
            self._thinning = Thinning(self._plan.wanted, self._pick, self._plan.sampled)
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
            self._thinning = Thinning(wanted, self._pick, plan.sampled)
        if plan.is_large:
            patches = len(patch_ND) // (images * (1 + len(COPIES[self.copies])))
            tell(plan.describe(seconds * self.batches, search_seconds(patch_ND[:patches]), patches))
        if not self.model.graph.wanted and (advice := plan.advise()):
            tell(advice)
        return plan

    def _hold_less(self, memory: int) -> Plan:
        """Thin all that was gathered, or put it on the disk: more came than anybody knew of, and would not fit.

        Raises:
            DataError: Not even what is left would fit, or the disk has no room.
        """
        patch_ND = self.take()
        total = 2 * len(patch_ND)
        wanted = self.bank_size or max(1, round(self.coreset_ratio * total))
        plan = Plan(total, wanted, patch_ND.shape[1], memory, exact=self.exact)
        tell(f"{len(patch_ND):,} patches of {self._images:,} images are as many as fit, and more came than expected.")
        if plan.spills:
            self._spilled = SpilledPoints(plan.dimensions, total)
            self._spilled.append(patch_ND)
            return plan
        plan.check()
        self._thinning = Thinning(wanted, self._pick, plan.sampled)
        image_N = torch.arange(len(self._counts)).repeat_interleave(torch.tensor(self._counts)).to(self.device)
        for part_RD, image_R in zip(torch.split(patch_ND, PART), torch.split(image_N, PART), strict=True):
            self._thinning.add(part_RD.to(self.device), image_R)
        return plan

    def describe(self, image_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """List the patches of a batch (N, D), and which image each is of (N,); see ``PatchCoreModel.describe``."""
        return self.model.describe(image_B3HW)

    def fit(self) -> None:
        """Thin the collected patches to a coreset and make it the bank; do nothing where none were collected."""
        self._keep_unfinished()
        if self._plan is None:
            return
        patch_ND, image_N, seen = self._take_collected()
        picks = self._pick(patch_ND, self._count(seen, len(patch_ND)))
        if seen > len(patch_ND):
            tell(f"{seen:,} patches were thinned to {len(picks):,} as they came.")
        self.learnt = []
        whose_N = self._images_of(image_N)
        self.model.set_bank(patch_ND[picks].to(self.device), whose_N[picks])
        self._arrange(patch_ND, whose_N, picks)

    def _arrange(self, patch_ND: Tensor | SpilledPoints, whose_N: Tensor, picks: list[int]) -> None:
        """Link the bank where a graph is wanted, and measure that by patches that were not picked."""
        if self.model.graph.wanted:
            self.model.graph.hold_probes(patch_ND, whose_N, picks, self.device)
        self.model.arrange()

    def _take_collected(self) -> tuple[Tensor | SpilledPoints, Tensor, int]:
        """Give the patches that were collected, or what stands in for them, and forget them.

        Returns:
            Patches (N, D), of which image each is (N,), and of how many patches they are.
        """
        counts, self._counts = self._counts, []
        self._plan, self._images = None, 0
        thinning, self._thinning = self._thinning, None
        spilled, self._spilled = self._spilled, None
        if thinning is not None:
            left_ND, image_N = thinning.take()
            return left_ND, image_N.cpu(), thinning.seen
        patch_ND = self.take() if spilled is None else spilled
        return patch_ND, torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)), len(patch_ND)

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
        patch_ND, image_N, seen = self._take_collected()
        parts = range(0, len(patch_ND), PART)
        square_N = torch.cat(
            [self.model.search(patch_ND[first : first + PART].to(self.device)[None])[0] for first in parts]
        )
        count = min(len(patch_ND), max(1, round(self.added_ratio * seen)))
        picks = list(k_center_greedy(patch_ND, count, int(square_N.argmax()), square_N))
        whose_N = self._images_of(image_N)
        images = [self.model.image_M, whose_N[picks].to(self.device)]
        self.model.set_bank(torch.cat([self.model.bank_MD, patch_ND[picks].to(self.device)]), torch.cat(images))
        self._arrange(patch_ND, whose_N, picks)
        self._displaced = {}

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
        self.model.graph.drop_probes(place_I.masked_fill(gone_I, -2))
        self.model.arrange()
        self._displaced = {}

    def get_ready_without(self, paths: Collection[str], read: Callable[[str], Tensor]) -> None:
        """Find which patches of the other images stood so near to one's own that they were not kept: they come back."""
        places = {path: [place for place, learnt in enumerate(self.learnt) if learnt == path] for path in paths}
        self._displaced = displaced(self.model.bank_MD, self.model.image_M, places, self._seen_again(paths, read))

    def _seen_again(self, paths: Iterable[str], read: Callable[[str], Tensor]) -> Iterator[tuple[str, Tensor]]:
        for path in track(list(paths), "comparing what was added"):
            with suppress(DataError):
                yield path, describe_copies(self.describe, read(path).to(self.device), self.copies)[0]

    @contextmanager
    def without(self, path: str, read: Callable[[str], Tensor]) -> Iterator[None]:
        """Judge by the patches of other images, for a moment.

        Patches of others that stood so near that they were not kept come back where ``get_ready_without`` has found
        them; elsewhere scores are at least what they would be had the image never been learnt.
        """
        del read
        places = torch.tensor([place for place, learnt in enumerate(self.learnt) if learnt == path])
        stays_M = ~torch.isin(self.model.image_M.cpu(), places)
        check_something(int(stays_M.sum()), "patches of a bank")
        with self.model.only(stays_M.to(self.device), self._displaced.get(path)):
            yield

    def export_plan(self, size: tuple[int, int]) -> ExportPlan | None:
        """Plan one graph; or two with a search between them, where that is faster than a graph that compares all."""
        if not self.model.is_searched_outside_graphs():
            return super().export_plan(size)
        tiled = size if self.tiling is None else (self.tiling.size, self.tiling.size)
        return plan_searched(self.model, tiled, self.describer())

    def account(self, predictions: pd.DataFrame) -> Account:
        """Say what a search that is not exact everywhere finds, where one is used."""
        del predictions
        return self.model.graph.account(self.model.bank_MD, self.model.search)

    def bank_sizes(self) -> list[int]:
        """List the sizes of banks that ``scores_by_bank`` compares, ascending; none where images are judged in tiles.

        An extended bank begins with the one before it was extended.
        """
        return [] if self.tiling is not None else halved(len(self.model.bank_MD))

    def scores_by_bank(self, image_B3HW: Tensor) -> Tensor:
        """Score images (B, 3, H, W) by a bank of each of these sizes, as runs with such banks would: (B, S)."""
        return self.model.score_by_size(image_B3HW, self.bank_sizes())

    def search_milliseconds(self, image_B3HW: Tensor) -> list[float]:
        """Time the search for the patches of images (B, 3, H, W) in a bank of each of these sizes: per image (S)."""
        seconds_S = [self.model.search_seconds(image_B3HW, size) for size in self.bank_sizes()]
        return [1000 * seconds / len(image_B3HW) for seconds in seconds_S]

    def _images_of(self, image_K: Tensor) -> Tensor:
        """Tell of which image patches are, by its place in ``learnt``, to which those collected are added now."""
        coming, first = self.take_coming(), len(self.learnt)
        self.learnt += coming
        return image_K + first if coming else torch.full((len(image_K),), -1)

    def take(self) -> Tensor:
        """Give all patches that were collected (N, D), and forget them.

        Raises:
            RuntimeError: None were.
        """
        if self._gathered is None:
            raise RuntimeError("Expected patches that were collected, but there are none; collect a batch first.")
        patch_ND, self._gathered = self._gathered.points(), None
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
