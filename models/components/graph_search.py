"""The nearest patches of a bank by a graph of neighbours, HNSW (Malkov and Yashunin 2018, arXiv 1603.09320), by FAISS.

A walk goes from patch to nearer patch until it finds none. In a large bank that is quick, and where it ends is not
always the nearest one: distances are never too small, but for rounding, and some are far too large, as those of defects
are. So the patches that decide about an image are searched for again, exactly: see ``settle``. Scores are those of
exact search, and no place of a map rises above the worst patch; elsewhere a map may be too high where a walk failed.

Letters: B images, P patches of an image in all sizes, D features, M patches in the bank, N patches that are asked for,
Q patches in no bank that show how often walks fail, L links, R images that are not settled, T patches tried at a time.
"""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from anomalib.models.components import DynamicBufferMixin
from torch import Tensor

from datamodules.progress import tell, track
from models.account import Account

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEGREE = 32  # links of a patch on each level, twice as many on the lowest
BREADTH = 16  # patches that a walk keeps in mind: with more it takes longer, and fails hardly less often
AT_ONCE = 10_000  # patches that are linked between two signs of life
TRIED = 4  # patches of an image that are searched for exactly at first; then twice as many, and so on
PROBES = 4096  # patches in no bank that are held, to measure how often walks fail
WRONG = 1e-3  # share by which a distance has to be too large to be another patch's
TIMED = 1024  # patches that a search is timed with, as many as an image of 256x256 has
UNSEEN = -torch.inf


class Links(NamedTuple):
    """A graph without its patches.

    Attributes:
        link_L: int32: from every patch of the bank, on every level, in FAISS's order; -1: none.
        level_M: uint8: on how many levels a patch lies, at least 1.
        entry: The patch where walks begin, int64.
    """

    link_L: Tensor
    level_M: Tensor
    entry: Tensor

    def fit(self, points: int) -> bool:
        """Tell whether these link so many patches: a checkpoint may hold anything, and FAISS would follow it."""
        level_M, link_L = self.level_M.long(), self.link_L
        if len(level_M) != points or not points or int(level_M.min()) < 1:
            return False
        room_M = DEGREE * (level_M + 1)
        if len(link_L) != int(room_M.sum()) or int(link_L.min()) < -1 or int(link_L.max()) >= points:
            return False
        if not 0 <= int(self.entry) < points or level_M[int(self.entry)] != level_M.max():
            return False
        start_M = room_M.cumsum(0) - room_M
        for level in range(1, int(level_M.max())):
            place_S = start_M[level_M > level].unsqueeze(1) + DEGREE * (level + 1) + torch.arange(DEGREE)
            linked = link_L[place_S.flatten()]
            if (level_M[linked[linked >= 0]] <= level).any():
                return False
        return True


class GraphSearch:
    """Walks along a graph of a bank.

    Args:
        bank_MD: On the processor; float32. FAISS copies it.
        links: Of its patches, where they were linked before.
    """

    def __init__(self, bank_MD: Tensor, links: Links | None = None) -> None:
        self.bank_MD, self._faiss = bank_MD, import_faiss()
        self._index = self._faiss.IndexHNSWFlat(bank_MD.shape[1], DEGREE)
        if links is None:
            self._link()
        else:
            self._restore(links)
        self._index.hnsw.efSearch = BREADTH
        hnsw = self._index.hnsw
        self.links = links or Links(
            torch.from_numpy(self._faiss.vector_to_array(hnsw.neighbors)),
            torch.from_numpy(self._faiss.vector_to_array(hnsw.levels)).to(torch.uint8),
            torch.tensor(hnsw.entry_point),
        )

    def __call__(self, asked_ND: Tensor) -> Tensor:
        """Return squared distances (N,) to where walks end; infinite where they end nowhere."""
        self._faiss.omp_set_num_threads(torch.get_num_threads())
        square_N1, index_N1 = self._index.search(asked_ND.contiguous().numpy(), 1)
        square_N = torch.from_numpy(square_N1[:, 0])
        return square_N.masked_fill(torch.from_numpy(index_N1[:, 0] < 0), torch.inf).clamp_min(0)

    def __reduce__(self) -> tuple[type[GraphSearch], tuple[Tensor, Links]]:
        """Copy and pickle what the graph is made of: FAISS's own objects know neither."""
        return GraphSearch, (self.bank_MD, self.links)

    def _link(self) -> None:
        """Link all patches, on one thread: several would link them in another way each time."""
        self._faiss.omp_set_num_threads(1)
        for part_RD in track(torch.split(self.bank_MD, AT_ONCE), "linking the bank for HNSW"):
            self._index.add(part_RD.contiguous().numpy())

    def _restore(self, links: Links) -> None:
        self._index.storage.add(self.bank_MD.contiguous().numpy())
        self._index.ntotal, hnsw = len(self.bank_MD), self._index.hnsw
        self._faiss.copy_array_to_vector(links.level_M.int().numpy(), hnsw.levels)
        hnsw.prepare_level_tab(len(self.bank_MD), True)  # by these levels
        self._faiss.copy_array_to_vector(links.link_L.contiguous().numpy(), hnsw.neighbors)
        hnsw.entry_point, hnsw.max_level = int(links.entry), int(links.level_M.max()) - 1


class Quality(NamedTuple):
    """How often walks fail, of patches that are in no bank, and how far off they are then.

    Attributes:
        recall: Share whose nearest patch is found, in [0, 1].
        mean_error: By which share distances are too large, in the mean of those that fail.
        largest_error: The same, of the worst one.
    """

    recall: float
    mean_error: float
    largest_error: float


def quality_of(found_Q: Tensor, true_Q: Tensor) -> Quality:
    """Compare squared distances with those of exact search.

    A distance that is next to nothing counts as a thousandth of the median, lest rounding looks like failure.
    """
    true_Q = true_Q.double().sqrt()
    error_Q = (found_Q.double().sqrt() - true_Q) / true_Q.clamp_min(WRONG * float(true_Q.median())).clamp_min(1e-12)
    wrong = error_Q[error_Q > WRONG]
    mean, largest = (float(wrong.mean()), float(wrong.max())) if len(wrong) else (0.0, 0.0)
    return Quality(1 - len(wrong) / len(error_Q), mean, largest)


class BankGraph(DynamicBufferMixin):
    """The graph of a bank, where one is wanted. Checkpoints hold its links, and not the patches a second time.

    Args:
        wanted: Whether the bank is searched by a graph at all.

    Attributes:
        resting: Whether all is searched exactly for now; see ``InspectionModel.as_exported``.

    Raises:
        ValueError: It is wanted, and FAISS is not installed.
    """

    link_L: Tensor
    level_M: Tensor
    entry: Tensor
    asked_QD: Tensor
    image_Q: Tensor
    quality_3: Tensor

    def __init__(self, wanted: bool) -> None:
        super().__init__()
        if wanted:
            import_faiss()
        self.wanted, self.resting = wanted, False
        self._search: GraphSearch | None = None
        self.register_buffer("link_L", torch.empty(0, dtype=torch.int32))
        self.register_buffer("level_M", torch.empty(0, dtype=torch.uint8))
        self.register_buffer("entry", torch.tensor(0))
        self.register_buffer("asked_QD", torch.empty(0, 0))
        self.register_buffer("image_Q", torch.empty(0, dtype=torch.int64))  # that each is of, as in the bank
        self.register_buffer("quality_3", torch.empty(0, dtype=torch.float64))  # none: it was not measured

    @property
    def quality(self) -> Quality | None:
        """How often walks fail; None where nobody measured it."""
        return Quality(*self.quality_3.tolist()) if len(self.quality_3) else None

    def serves(self, bank_MD: Tensor) -> bool:
        """Tell whether a bank is searched by walks now: on a processor, where that is wanted."""
        return self.wanted and not self.resting and bank_MD.device.type == "cpu"

    def search(self, asked_ND: Tensor, bank_MD: Tensor) -> Tensor:
        """Return squared distances (N,) to where walks in a bank end; link its patches first, where nobody has."""
        if self._search is None or self._search.bank_MD is not bank_MD:
            links = Links(self.link_L, self.level_M, self.entry)
            self._search = GraphSearch(bank_MD, links if links.fit(len(bank_MD)) else None)
            self.link_L, self.level_M, self.entry = self._search.links
        return self._search(asked_ND)

    def clear(self) -> None:
        """Forget the links: the bank has changed."""
        self._search = None
        self.link_L, self.level_M, self.quality_3 = self.link_L[:0], self.level_M[:0], self.quality_3[:0]

    def hold_probes(self, patch_ND: Any, whose_N: Tensor, picks: Sequence[int], device: torch.device) -> None:
        """Hold some patches that were not picked, drawn at random, beside those that are held.

        Args:
            patch_ND: All of them, in memory or on the disk.
            whose_N: The image of each, as the bank has them.
            picks: Those that went into the bank.
            device: Where to hold them.
        """
        draw = torch.Generator().manual_seed(0)
        left_N = torch.ones(len(patch_ND), dtype=torch.bool)
        left_N[list(picks)] = False
        left = left_N.nonzero().flatten()
        left = left[torch.randperm(len(left), generator=draw)[:PROBES]]
        asked_QD = patch_ND[left].to(device)
        asked_QD = torch.cat([self.asked_QD.reshape(-1, asked_QD.shape[1]).to(device), asked_QD])
        image_Q = torch.cat([self.image_Q.to(device), whose_N.cpu()[left].to(device)])
        stays = torch.randperm(len(asked_QD), generator=draw)[:PROBES].sort().values.to(device)
        self.asked_QD, self.image_Q = asked_QD[stays], image_Q[stays]

    def drop_probes(self, place_I: Tensor) -> None:
        """Forget the patches of images that are forgotten.

        Args:
            place_I: The new place of every image, the last that of nobody's; below -1: it is forgotten.
        """
        place_Q = place_I[self.image_Q.cpu()]
        stays_Q = place_Q >= -1
        self.image_Q = place_Q[stays_Q].to(self.image_Q.device)
        self.asked_QD = self.asked_QD[stays_Q.to(self.asked_QD.device)]

    def arrange(self, bank_MD: Tensor, exact: Callable[[Tensor], Tensor]) -> None:
        """Link the patches of a bank, measure how often walks fail, and say so; do nothing where it is not wanted.

        Args:
            bank_MD: The bank.
            exact: Searches it exactly: from patches (B, P, D) to squared distances (B, P).
        """
        if not self.wanted:
            return
        if bank_MD.device.type != "cpu":
            tell(
                f"model.search=hnsw is for processors: on {bank_MD.device.type} the bank is compared by products, "
                "exactly. It is linked once the model is used on a processor."
            )
            return
        found_Q = self.search(self.asked_QD.reshape(-1, bank_MD.shape[1]), bank_MD)
        if len(found_Q):
            quality = quality_of(found_Q, exact(self.asked_QD.unsqueeze(0))[0])
            self.quality_3 = torch.tensor(quality, dtype=torch.float64)
        tell(self.describe(bank_MD, exact))

    def describe(self, bank_MD: Tensor, exact: Callable[[Tensor], Tensor]) -> str:
        """Say how often walks fail, what comes of it, and how long they take beside exact search."""
        quality, patches = self.quality, len(self.asked_QD)
        if quality is None:
            return "How often HNSW misses is not known: no patch that is not in the bank was there to ask for."
        far = (
            f"; where it misses, distances are {100 * quality.mean_error:.0f} % too large in the mean and up to "
            f"{100 * quality.largest_error:.0f} %, which looks like a defect"
            if quality.recall < 1
            else ""
        )
        asked_PD = self.asked_QD[torch.arange(TIMED) % patches]
        walks, all_of_it = (
            f"{1000 * seconds(search):.1f} ms"
            for search in (lambda: self.search(asked_PD, bank_MD), lambda: exact(asked_PD.unsqueeze(0)))
        )
        return (
            f"HNSW finds the nearest of {100 * quality.recall:.2f} % of {patches:,} training patches that are not in "
            f"the bank{far}. The worst patches of every image are searched for again, exactly: scores are those of "
            f"exact search. {TIMED:,} patches take {walks} with it, and {all_of_it} exactly."
        )

    def account(self, bank_MD: Tensor, exact: Callable[[Tensor], Tensor]) -> Account:
        """Say how often walks fail, for metrics.json and in a sentence; nothing where walks are not taken."""
        if not self.serves(bank_MD):
            return Account()
        known = {} if self.quality is None else {"hnsw": {**self.quality._asdict(), "patches": len(self.asked_QD)}}
        return Account({"bank_search": known} if known else {}, notes=[self.describe(bank_MD, exact)])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take the links of a checkpoint; earlier versions had none."""
        self._search = None
        for name, value in self.named_buffers():
            state_dict.setdefault(f"{prefix}{name}", value[:0] if value.dim() else value)
        super()._load_from_state_dict(state_dict, prefix, *args)


def settle(
    bound_BP: Tensor,
    counts: Sequence[int],
    top: int,
    inside_BP: Tensor | None,
    exact: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Replace distances that may be too large by exact ones, until the worst of every image and size are exact.

    In descending order, until as many exact ones as are asked for lie above all others: what is left may be too large
    and never too small, so none of it belongs among the worst.

    Args:
        bound_BP: Squared distances; none is too small.
        counts: Patches of each size, in the order of P.
        top: How many of the worst decide, of each size.
        inside_BP: Which patches are of images, and not of padding; None: all are.
        exact: Measures some patches: from images (R,) and their patches (R, T) to squared distances (R, T).

    Returns:
        Squared distances (B, P); those of all that may be among the worst are exact.
    """
    square_BP, first = bound_BP.clone(), 0
    counting_BP = bound_BP if inside_BP is None else bound_BP.masked_fill(~inside_BP, UNSEEN)
    for count in counts:
        unknown_BP = counting_BP[:, first : first + count].clone()
        exact_BP = torch.full_like(unknown_BP, UNSEEN)
        wanted, tried = min(top, count), max(TRIED, top)
        while True:
            worst_B = exact_BP.topk(wanted, dim=1).values[:, -1]
            image_R = (worst_B <= unknown_BP.amax(dim=1)).logical_and(unknown_BP.amax(dim=1) > UNSEEN).nonzero()[:, 0]
            if not len(image_R):
                break
            bound_RT, patch_RT = unknown_BP[image_R].topk(min(tried, count), dim=1)
            found_RT = exact(image_R, first + patch_RT).where(bound_RT > UNSEEN, bound_RT)
            place = (image_R.unsqueeze(1), patch_RT)
            exact_BP[place] = torch.maximum(exact_BP[place], found_RT)
            unknown_BP[place] = UNSEEN
            tried *= 2
        known_BP = exact_BP > UNSEEN
        square_BP[:, first : first + count][known_BP] = exact_BP[known_BP]
        first += count
    return square_BP


def seconds(work: Callable[[], object]) -> float:
    """Time something: the shortest of three times."""
    spent = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    return min(spent)


def import_faiss() -> Any:
    """Import FAISS.

    Raises:
        ValueError: It is not installed; says how it is.
    """
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise ValueError(
            "Expected FAISS for model.search=hnsw, but it is not installed: pip install 'loupe-inspect[faiss]', or set "
            "model.search=exact."
        ) from error
