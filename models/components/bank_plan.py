"""What a bank of patches costs, before it is made: memory, time, and what a search of it takes."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple

from datamodules.errors import DataError

from .coreset import shortened_to
from .memory import written_size
from .nearest import search_plainly
from .thinning import FEWEST_SAMPLED, SAMPLED, SPARE

if TYPE_CHECKING:
    from torch import Tensor

BYTES = 4  # of a number
THINNED_COPIES = 3  # the sample, what the bank is chosen from, and freed memory that the C library has not given back
CHOICE = 16  # bytes that choosing takes for each patch: its square, its distance, and copies of both
WORTH_SAYING = 2**30  # bytes, above which people want to know before
GRAPHED = 200_000  # patches of a bank, from which walks along a graph are several times as fast as exact search
TRIED = 4096  # patches that a search is timed with, at most


class Plan(NamedTuple):
    """What will be collected, and what for.

    Attributes:
        total: Patches of all images.
        wanted: Patches of the bank.
        dimensions: Of each.
        memory: In bytes, that this may take.
        exact: Keep all patches on the disk where they do not fit.
    """

    total: int
    wanted: int
    dimensions: int
    memory: int
    exact: bool = False

    @property
    def whole(self) -> int:
        """Bytes that it takes to hold all patches and choose among them, by a shorter form where there is one."""
        shorter = shortened_to(self.total, self.dimensions) or 0
        return (BYTES * (self.dimensions + shorter) + CHOICE) * self.total

    @property
    def sampled(self) -> int:
        """Patches that are gathered before they are thinned for the first time: many, where there is memory."""
        return min(max(FEWEST_SAMPLED * self.wanted, self.memory // self._thinned_bytes), SAMPLED * self.wanted)

    @property
    def thinned(self) -> int:
        """Bytes that it takes to thin them as they come."""
        return self._thinned_bytes * self.sampled

    @property
    def _thinned_bytes(self) -> int:
        """Bytes for each patch that is thinned."""
        shorter = shortened_to(self.total, self.dimensions) or 0
        return BYTES * (THINNED_COPIES * self.dimensions + shorter) + CHOICE

    @property
    def fits(self) -> bool:
        """Tell whether all can be held."""
        return self.whole <= self.memory

    def holds(self, total: int) -> bool:
        """Tell whether so many could be held instead."""
        return self._replace(total=total).fits

    @property
    def spills(self) -> bool:
        """Tell whether all are kept on the disk."""
        return self.exact and not self.fits

    @property
    def is_large(self) -> bool:
        """Tell whether this is worth saying before it begins."""
        return self.whole > min(WORTH_SAYING, self.memory)

    def advise(self) -> str:
        """Name the quicker search where a bank is so large that it pays; empty elsewhere."""
        if self.wanted <= GRAPHED:
            return ""
        return (
            f"Above {GRAPHED:,} patches, model.search=hnsw (pip install 'loupe-inspect[faiss]') finds patches several "
            "times as fast: scores stay exact, maps not everywhere."
        )

    def check(self) -> None:
        """Refuse a bank that is too large to be thinned to.

        Raises:
            DataError: Names a size that can be had, and the memory that it would take.
        """
        if self.thinned <= self.memory:
            return
        most = self.memory // self._thinned_bytes // FEWEST_SAMPLED
        raise DataError(
            f"Expected a bank that can be chosen within {written_size(self.memory)}, but {self.wanted:,} patches of "
            f"{self.total:,} take {written_size(self.thinned)}; set model.bank_size={max(1, most)} or less, or "
            f"model.memory={written_size(self.thinned * 1.1).replace(' ', '')}."
        )

    def choosing_seconds(self, search_seconds: float, patches: int) -> float:
        """Estimate how long it takes to choose the bank.

        To choose among all compares each with all that is chosen, as a search for every image would. What is thinned
        is searched for in the coreset (a third of the time of comparing all), which is chosen at each thinning, from
        the sample at first; and from the sample the bank is chosen in the end.
        """
        images = self.total / patches
        if self.fits or self.spills:
            return images * self.wanted * search_seconds
        held = SPARE * self.wanted
        thinnings = math.log2(max(1.0, self.total / self.sampled))
        chosen_from = 2 * self.sampled + (2 * thinnings + 1) * held
        return (images / 3 + chosen_from / patches) * held * search_seconds

    def describe(self, feature_seconds: float, search_seconds: float, patches: int) -> str:
        """Say what is to come.

        Args:
            feature_seconds: That all features will take.
            search_seconds: That one image takes for each patch of the bank, all compared.
            patches: Of an image.
        """
        how = "all are held" if self.fits else "kept on the disk" if self.spills else "thinned as they come"
        disk = written_size(BYTES * self.dimensions * self.total) if self.spills else "none"
        takes = self.whole if self.fits else CHOICE * self.total if self.spills else self.thinned
        bank = written_size(2 * BYTES * self.dimensions * self.wanted)
        search = 1000 * search_seconds * self.wanted
        choosing = self.choosing_seconds(search_seconds, patches)
        return (
            f"Bank: {self.wanted:,} of {self.total:,} patches of {self.dimensions} values; {how}, in at most "
            f"{written_size(takes)} of {written_size(self.memory)}, {disk} on the disk. Features take about "
            f"{feature_seconds:.0f} s, choosing {choosing:.0f} s; an image is then searched for in at most "
            f"{search:.0f} ms, in a bank that takes {bank}."
        )


def search_seconds(patch_PD: Tensor) -> float:
    """Time a plain search of an image's patches among themselves; return seconds for each that is compared with."""
    bank_MD = patch_PD[:TRIED]
    square_M = bank_MD.square().sum(dim=1)
    if bank_MD.device.type != "cpu":
        float(search_plainly(patch_PD, bank_MD, square_M).sum())  # kernels are compiled and loaded when first asked
    started = time.perf_counter()
    float(search_plainly(patch_PD, bank_MD, square_M).sum())  # waits for the device
    return (time.perf_counter() - started) / len(bank_MD)


def check_bank(coreset_ratio: float, num_neighbors: int, bank_size: int | None) -> None:
    """Refuse what no bank can be made by.

    Raises:
        ValueError: An argument is out of range.
    """
    if not 0 < coreset_ratio <= 1:
        raise ValueError(f"Expected model.coreset_ratio to be above 0 and at most 1, but found {coreset_ratio}.")
    if num_neighbors < 1:
        raise ValueError(f"Expected model.num_neighbors to be at least 1, but found {num_neighbors}.")
    if bank_size is not None and bank_size < 1:
        raise ValueError(f"Expected model.bank_size to be at least 1, or null, but found {bank_size}.")
