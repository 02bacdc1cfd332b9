"""Pixel statistics in constant memory: streaming histograms of anomaly maps against their masks.

Keeping every pixel of 2,000 maps of 256x256 takes gigabytes, and sorting them half a minute. A histogram over the bins
of `bins` takes 48 MiB, whatever the range of the maps, and is the same to the last bit for any order and batching of
images.

What the binning costs: each threshold at the lowest number of a bin gives exact counts, so every point of the binned
ROC, precision-recall and overlap curves is a point of the exact curve; only the points inside a bin are lost. So the
binned best F1 is reached by a real threshold, and AUROC and AU-PRO are off by no more than `shared_bins` says. Average
precision comes out lower, as if the pixels of a bin were tied; by 6e-5 in `benchmarks/pixel_metrics.py`.

Shape letters: N images, H and W height and width, T used bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from datamodules.errors import DataError

from .bins import bin_count, bin_index, highest_in_bin, lowest_in_bin
from .curves import FloatArray, ScoreCounts, ratio
from .regions import REGION_UNIT, region_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FINE_BITS = 12
COARSE_BITS = 7  # sign, exponent and these make 16 bits: a coarse bin fits uint16


@dataclass(frozen=True, eq=False)
class ImageHistogram:
    """The coarse histogram of one image, some ten kilobytes: what a bootstrap by group needs to know of its pixels.

    Attributes:
        group: Name of the image's group.
        negative_bin: (M,) uint16, the coarse bins that hold good pixels.
        negative: (M,) int32, how many each holds.
        positive_bin: (P,) uint16, the coarse bins that hold defect pixels.
        positive: (P,) int32, how many each holds.
        overlap: (P,) int64, their summed region weights in units of ``1 / REGION_UNIT``.
    """

    group: str
    negative_bin: npt.NDArray[np.uint16]
    negative: npt.NDArray[np.int32]
    positive_bin: npt.NDArray[np.uint16]
    positive: npt.NDArray[np.int32]
    overlap: npt.NDArray[np.int64]


class PixelHistogram:
    """Counts good pixels, defect pixels and region weights per bin of the anomaly map's value.

    Args:
        device: Where the counts live; maps and masks may come from any device, and are fastest from this one.

    Attributes:
        count: (2, bins) int64, good and defect pixels per fine bin; may be summed over processes.
        overlap: (bins,) int64, region weights per fine bin in units of ``1 / REGION_UNIT``; may be summed over
            processes.
        images: The coarse histogram of each image that came with a group name, in the order they came.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.count = torch.zeros(2, bin_count(FINE_BITS), dtype=torch.int64, device=device)
        self.overlap = torch.zeros(bin_count(FINE_BITS), dtype=torch.int64, device=device)
        self.images: list[ImageHistogram] = []

    @torch.no_grad()
    def update(self, map_NHW: Tensor, mask_NHW: Tensor, group_N: Sequence[str] | None = None) -> None:
        """Add images.

        Args:
            map_NHW: Raw anomaly maps, floating, higher is worse, unbounded; compared in float32. Infinities are
                allowed.
            mask_NHW: Ground truth of the same shape; any value but 0 marks a defect pixel. All zero for a good image;
                leave images without a known mask out.
            group_N: Name of each image's group, to keep coarse histograms for intervals; None keeps none.

        Raises:
            ValueError: Where shapes differ or a map holds NaN. Nothing is added then.
        """
        if map_NHW.ndim != 3 or map_NHW.shape != mask_NHW.shape:
            raise ValueError(
                f"Expected maps and masks of one shape (N, H, W), but got {tuple(map_NHW.shape)} and "
                f"{tuple(mask_NHW.shape)}; resize the masks to the maps with nearest neighbour."
            )
        if group_N is not None and len(group_N) != len(map_NHW):
            raise ValueError(
                f"Expected one group name per picture, but got {len(group_N)} for {len(map_NHW)} pictures."
            )
        refuse_nan(map_NHW)
        device = self.count.device
        mask_NHW = mask_NHW != 0
        mask_NP = mask_NHW.flatten(1).to(device)
        fine_NP = bin_index(map_NHW.to(device), FINE_BITS).flatten(1)
        # Only masks that mark anything leave the device.
        defective_NHW = mask_NHW[mask_NHW.flatten(1).any(dim=1)].cpu().numpy()
        weight_D = np.concatenate([np.zeros(0, np.int64), *map(region_weights, defective_NHW)])
        self._count(fine_NP.flatten(), fine_NP[mask_NP], torch.from_numpy(weight_D).to(device))
        if group_N is not None:
            coarse_NP = (fine_NP >> (FINE_BITS - COARSE_BITS)).cpu().numpy()
            self.images += _coarse_histograms(coarse_NP, mask_NP.cpu().numpy(), weight_D, group_N)

    @torch.no_grad()
    def update_pixels(self, value_P: Tensor, defect_P: Tensor) -> None:
        """Add loose pixels, such as those of one zone: they count, but make no regions and have no images.

        Args:
            value_P: Raw map values.
            defect_P: Whether each is a defect pixel.

        Raises:
            ValueError: A value is NaN. Nothing is added then.
        """
        refuse_nan(value_P)
        fine_P = bin_index(value_P.to(self.count.device), FINE_BITS)
        defect_D = fine_P[defect_P.to(self.count.device) != 0]
        self._count(fine_P, defect_D, torch.zeros(len(defect_D), dtype=torch.int64, device=self.count.device))

    def _count(self, fine_P: Tensor, defect_D: Tensor, weight_D: Tensor) -> None:
        # All pixels are counted as good first, and defect pixels, which are few, moved over.
        one = torch.ones(1, dtype=torch.int64, device=self.count.device)
        self.count[0].index_add_(0, fine_P, one.expand(fine_P.numel()))
        self.count[0].index_add_(0, defect_D, -one.expand(defect_D.numel()))
        self.count[1].index_add_(0, defect_D, one.expand(defect_D.numel()))
        self.overlap.index_add_(0, defect_D, weight_D)

    def merge(self, other: PixelHistogram) -> None:
        """Add all that another histogram has seen."""
        self.count += other.count.to(self.count.device)
        self.overlap += other.overlap.to(self.overlap.device)
        self.images += other.images

    def counts(self) -> ScoreCounts:
        """Good and defect pixels per used bin, ascending; ``threshold`` is the lowest number that each bin can hold."""
        used = self._used()
        negative_T, positive_T = self.count[:, used].cpu().numpy().astype(np.float64)
        index_T = used.cpu().numpy()
        lowest_T, highest_T = lowest_in_bin(index_T, FINE_BITS), highest_in_bin(index_T, FINE_BITS)
        return ScoreCounts(lowest_T, highest_T, negative_T, positive_T)

    def overlaps(self) -> FloatArray:
        """Summed region weights per used bin, aligned with `counts`; they sum to the number of regions."""
        return self.overlap[self._used()].cpu().numpy() / REGION_UNIT

    def _used(self) -> Tensor:
        return self.count.sum(dim=0).nonzero().flatten()


def refuse_nan(map_NHW: Tensor) -> None:
    """Refuse maps that no threshold can judge.

    Raises:
        DataError: Some value is NaN.
    """
    if torch.isnan(map_NHW).any():
        raise DataError(
            "Expected anomaly maps without NaN, but found some: the model has diverged; set model.learning_rate lower."
        )


def shared_bins(negative_T: npt.ArrayLike, positive_T: npt.ArrayLike) -> FloatArray:
    """Tell how far AUROC can be from its exact value: half the chance that a good and a defect pixel share a bin.

    With region weights for ``positive_T``, and divided by the limit, twice this bounds the error of AU-PRO.
    """
    negative, positive = np.asarray(negative_T, dtype=np.float64), np.asarray(positive_T, dtype=np.float64)
    return ratio((negative * positive).sum(axis=-1) / 2, negative.sum(axis=-1) * positive.sum(axis=-1))


def _coarse_histograms(
    coarse_NP: npt.NDArray[np.int32],
    mask_NP: npt.NDArray[np.bool_],
    weight_D: npt.NDArray[np.int64],
    group_N: Sequence[str],
) -> Iterator[ImageHistogram]:
    start = 0
    for coarse_P, mask_P, group in zip(coarse_NP, mask_NP, group_N, strict=True):
        count = np.bincount(coarse_P)
        positive_bin, index_D, positive = np.unique(coarse_P[mask_P], return_inverse=True, return_counts=True)
        count[positive_bin] -= positive
        negative_bin = count.nonzero()[0]
        overlap = np.zeros(positive_bin.size, dtype=np.int64)
        np.add.at(overlap, index_D, weight_D[start : start + index_D.size])
        start += index_D.size
        yield ImageHistogram(
            group=group,
            negative_bin=negative_bin.astype(np.uint16),
            negative=count[negative_bin].astype(np.int32),
            positive_bin=positive_bin.astype(np.uint16),
            positive=positive.astype(np.int32),
            overlap=overlap,
        )
