"""What calibration sees of the pixels in one scope: all images, those of one kind, or one zone within them.

Letters: N images of a batch, H and W pixels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from callbacks.policies.choice import choose_threshold, choose_threshold_from_counts
from callbacks.policies.normal import Normal
from callbacks.policies.prevalence import describe_few
from callbacks.statistics.bins import bin_index, lowest_in_bin
from callbacks.statistics.histogram import FINE_BITS, PixelHistogram
from datamodules.table import DEFECTIVE, GOOD, UNKNOWN

if TYPE_CHECKING:
    from torch import Tensor

    from callbacks.policies.base import Policy, Threshold


_NORMAL = Normal()


def choose_pixel_threshold(
    policy: Policy, histogram: PixelHistogram, fallback: Policy = _NORMAL, nothing: float | None = None
) -> Threshold:
    """Choose a threshold for anomaly maps, as `choose_threshold` does for scores.

    The threshold is moved down to the lowest number of its bin, which crosses no calibration pixel. So the decisions
    that any histogram counts at this threshold are those of the pixels themselves.

    Raises:
        ValueError: Where there is no good pixel, a pixel is infinite, or the fallback needs defects too.
    """
    chosen = choose_threshold_from_counts(policy, histogram.counts(), fallback, "pixels", nothing)
    index = bin_index(torch.tensor(chosen.value, dtype=torch.float64), FINE_BITS).item()
    lowest = float(lowest_in_bin(index, FINE_BITS))
    return chosen if nothing is not None and lowest <= nothing else replace(chosen, value=lowest)


class PixelEvidence:
    """Pixels of images whose truth is known, and the highest map value of every image.

    Args:
        device: Where pixels are counted. That takes 24 MiB, whatever their number.

    Attributes:
        histogram: Judged pixels of images whose truth is known.
        peaks: The highest judged map value of each image that has judged pixels here.
        labels: The labels of the same images.
        marked: Images in which some judged pixel is marked as a defect.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.histogram = PixelHistogram(device)
        self.peaks: list[float] = []
        self.labels: list[int] = []
        self.marked = 0

    def update(
        self, map_NHW: Tensor, mask_NHW: Tensor, known_N: Tensor, label_N: Tensor, judged_NHW: Tensor | None = None
    ) -> None:
        """See a batch.

        Args:
            map_NHW: Raw anomaly maps.
            mask_NHW: Marked defects.
            known_N: Whether an image's truth is known for every pixel.
            label_N: 0 good, 1 defective, -1 unknown.
            judged_NHW: Which pixels to look at; None: all.
        """
        if judged_NHW is None:
            value_P, defect_P = map_NHW[known_N].flatten(), mask_NHW[known_N].flatten()
            marked_N = known_N & mask_NHW.flatten(1).any(dim=1)
        else:
            counted_NHW = judged_NHW & known_N[:, None, None]
            value_P, defect_P = map_NHW[counted_NHW], mask_NHW[counted_NHW]
            marked_N = (mask_NHW & counted_NHW).flatten(1).any(dim=1)
            seen_N = judged_NHW.flatten(1).any(dim=1)
            map_NHW = map_NHW.masked_fill(~judged_NHW, float("-inf"))[seen_N]
            label_N = label_N[seen_N]
        self.histogram.update_pixels(value_P, defect_P)
        self.peaks += map_NHW.flatten(1).amax(dim=1).tolist() if len(map_NHW) else []
        self.labels += label_N.tolist()
        self.marked += int(marked_N.sum())

    @property
    def good(self) -> int:
        """Count the good images seen."""
        return self.labels.count(GOOD)

    def choose(self, policy: Policy, fallback: Policy, nothing: float | None = None) -> Threshold:
        """Choose a pixel threshold: from pixels where the policy needs defects and some are marked.

        Elsewhere each good image counts by its peak, so that the promise is about images that show any false
        region; where there is no good image either, each defective one does.

        Raises:
            ValueError: No image is labelled, or a value is infinite.
        """
        if policy.needs_defects and bool(self.histogram.count[1].any()):
            chosen = choose_pixel_threshold(policy, self.histogram, fallback, nothing)
            return replace(chosen, promise=chosen.promise + describe_few(self.good))
        label_N = np.array(self.labels, dtype=np.int64)
        if GOOD in label_N:
            label_N = np.where(label_N == DEFECTIVE, UNKNOWN, label_N)  # without a mask, its pixels may all be good
        if not policy.needs_defects:
            return choose_threshold(policy, self.peaks, label_N, fallback, nothing)
        chosen = choose_threshold(fallback, self.peaks, label_N, nothing=nothing)
        why = "No defect is marked in the calibration pictures, so each picture counts by its highest map value. "
        return replace(chosen, promise=why + chosen.promise, fallback=True)

    def median(self) -> float:
        """The usual map value: the median over pixels of known truth, or of the peaks where there are none."""
        counts = self.histogram.counts()
        if not counts.threshold.size:
            return float(np.median(self.peaks))
        total = (counts.negative + counts.positive).cumsum()
        return float(counts.threshold[np.searchsorted(total, total[-1] / 2)])
