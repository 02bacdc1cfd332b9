"""Pixel metrics, their confidence intervals, and pixel thresholds, from a streamed histogram.

Values and thresholds come from the fine bins. Intervals come from the images' coarse bins: groups of images are
drawn with replacement, their coarse histograms summed by a matrix product, and the spread of the resampled values
around the coarse value is laid around the fine one. So the coarse binning shifts neither value nor interval.

Shape letters: B resamples, G groups, U used coarse bins, T used fine bins.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .bins import bin_count, lowest_in_bin
from .bootstrap import Estimate, Resampling, group_weights, interval
from .curves import FloatArray, ScoreCounts, at_or_above, overlap_area
from .histogram import COARSE_BITS, ImageHistogram, PixelHistogram
from .intervals import carrying_groups, image_metrics
from .regions import REGION_UNIT

if TYPE_CHECKING:
    from collections.abc import Sequence


_DEFAULT = Resampling()
_RESAMPLES_PER_CHUNK = 256
_GROUPS_PER_CHUNK = 64


def pixel_metrics(
    counts: ScoreCounts, overlap_T: npt.ArrayLike, threshold: float | None = None
) -> dict[str, FloatArray]:
    """Return all pixel metrics from counts and region weights per bin, both with the same leading axes (...).

    Returns:
        What `image_metrics` returns, over pixels, with ``aupro`` and ``aupro_05``: the area under the per-region
        overlap up to false-positive rates of 0.3 and 0.05. Each of shape (...), NaN where undefined.
    """
    return image_metrics(counts, threshold) | {
        "aupro": overlap_area(counts.negative, overlap_T, fpr_limit=0.3),
        "aupro_05": overlap_area(counts.negative, overlap_T, fpr_limit=0.05),
    }


def pixel_intervals(
    histogram: PixelHistogram, threshold: float | None = None, resampling: Resampling = _DEFAULT
) -> dict[str, Estimate]:
    """Return pixel metrics with confidence intervals from resampled groups.

    Args:
        histogram: A histogram whose images all came with a group name.
        threshold: Raw map units; adds precision, recall, F1 and false-positive rate of ``value >= threshold``. The
            lowest number of a fine bin, as `choose_pixel_threshold` gives, is counted exactly.
        resampling: Number of resamples, confidence and seed.

    Returns:
        An `Estimate` for each name in `pixel_metrics`; NaN throughout where the value is undefined.

    Raises:
        ValueError: Where the images came without group names.
    """
    counts = histogram.counts()
    counted = sum(int(image.negative.sum() + image.positive.sum()) for image in histogram.images)
    if counted != int(counts.negative.sum() + counts.positive.sum()):
        raise ValueError(
            "Expected a coarse histogram for every picture, but some came without a group; give group_N to "
            "PixelHistogram.update, the picture's path where pictures stand alone."
        )
    values = pixel_metrics(counts, histogram.overlaps(), threshold)
    groups = _CoarseGroups(histogram.images)
    all_once, overlap_1U = groups.counts(np.ones((1, groups.defective_G.size)))
    edge = None if threshold is None else _matching_edge(all_once, counts, threshold)
    coarse = pixel_metrics(all_once, overlap_1U, edge)
    chunks = [
        pixel_metrics(*groups.counts(weight_BG), edge)
        for weight_BG in group_weights(groups.defective_G, resampling, _RESAMPLES_PER_CHUNK)
    ]
    good_groups, defective_groups = int(groups.good_G.sum()), int(groups.defective_G.sum())
    estimates = {}
    for name, value in values.items():
        resampled_B = np.concatenate([chunk[name] for chunk in chunks])
        recentred_B = np.clip(resampled_B - coarse[name] + value, 0, 1)
        carrying = carrying_groups(name, good_groups, defective_groups)
        estimates[name] = interval(float(value), recentred_B, carrying, resampling.confidence)
    return estimates


def _matching_edge(coarse: ScoreCounts, fine: ScoreCounts, threshold: float) -> float:
    """Return the edge of a coarse bin at or above which lie nearest as many pixels as at or above the threshold."""
    if not coarse.threshold.size:
        return threshold
    called = (fine.negative + fine.positive)[fine.threshold >= threshold].sum()
    called_U = at_or_above(coarse.negative[0] + coarse.positive[0])
    return float(coarse.threshold[np.abs(called_U - called).argmin()])


def _content(image: ImageHistogram) -> bytes:
    """Tell an image from others by its histogram, whatever its group is called."""
    digest = hashlib.sha256()
    for name in ("negative_bin", "negative", "positive_bin", "positive", "overlap"):
        digest.update(getattr(image, name).tobytes())
    return digest.digest()


class _CoarseGroups:
    """The coarse histograms of images, gathered by group in an order that depends on what the groups hold."""

    def __init__(self, images: Sequence[ImageHistogram]) -> None:
        by_name: dict[str, list[ImageHistogram]] = {}
        for image in images:
            by_name.setdefault(image.group, []).append(image)
        in_order = sorted(by_name.values(), key=lambda group: sorted(_content(image) for image in group))
        # Defective groups first: most of the others need no product for their defect pixels.
        self.images_G = sorted(in_order, key=lambda group: not any(p.positive.size for p in group))
        self.good_G = np.array([any(p.negative.size for p in group) for group in self.images_G], dtype=bool)
        self.defective_G = np.array([any(p.positive.size for p in group) for group in self.images_G], dtype=bool)
        bins = [part for p in images for part in (p.negative_bin, p.positive_bin)]
        self.bin_U = np.unique(np.concatenate([np.zeros(0, np.uint16), *bins]))
        self.threshold_U = lowest_in_bin(self.bin_U, COARSE_BITS)
        self.column = np.zeros(bin_count(COARSE_BITS), dtype=np.int64)  # of each coarse bin among the used ones
        self.column[self.bin_U] = np.arange(self.bin_U.size)

    def counts(self, weight_BG: FloatArray) -> tuple[ScoreCounts, FloatArray]:
        """Return pixels and region weights of resamples at each coarse bin, (B, U)."""
        sums_3BU = np.zeros((3, len(weight_BG), self.bin_U.size))
        # Dense histograms of a few groups at a time: all of them at once could take gigabytes.
        for start in range(0, len(self.images_G), _GROUPS_PER_CHUNK):
            part = slice(start, start + _GROUPS_PER_CHUNK)
            dense_3GU = self._dense(self.images_G[part])
            kinds = 3 if self.defective_G[part].any() else 1
            sums_3BU[:kinds] += weight_BG[:, part] @ dense_3GU[:kinds]
        negative_BU, positive_BU, overlap_BU = sums_3BU
        return ScoreCounts(self.threshold_U, self.threshold_U, negative_BU, positive_BU), overlap_BU

    def _dense(self, images_G: Sequence[Sequence[ImageHistogram]]) -> FloatArray:
        """Good pixels, defect pixels and region weights per group and bin, (3, G, U)."""
        dense = np.zeros((3, len(images_G), self.bin_U.size), dtype=np.int64)  # integers: images add in any order
        for group, images in enumerate(images_G):
            for image in images:
                dense[0, group, self.column[image.negative_bin]] += image.negative
                defect_bins = self.column[image.positive_bin]
                dense[1, group, defect_bins] += image.positive
                dense[2, group, defect_bins] += image.overlap
        scaled: FloatArray = dense / np.array([1, 1, REGION_UNIT])[:, None, None]
        return scaled
