"""The streamed histogram: exact where it should be, within its bound elsewhere, and the same in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from skimage import measure
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from callbacks.statistics.curves import average_precision, best_f_score, overlap_area, roc_auc
from callbacks.statistics.histogram import PixelHistogram, shared_bins

if TYPE_CHECKING:
    from collections.abc import Sequence


def maps_and_masks(
    number: int = 10, side: int = 48, scale: float = 1.0, offset: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth maps with blobs of several sizes that score higher; every third image is good."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(number, 1, side, side, generator=generator)
    maps = torch.nn.functional.avg_pool2d(noise, 3, stride=1, padding=1)[:, 0]
    masks = torch.zeros(number, side, side, dtype=torch.bool)
    for n in range(number):
        for size in (2, 5, 11)[: n % 3 + n % 3]:
            row, column = (int(torch.randint(side - size, (), generator=generator)) for _ in range(2))
            masks[n, row : row + size, column : column + size] = True
    return (maps + 0.4 * masks) * scale + offset, masks


def streamed(maps: torch.Tensor, masks: torch.Tensor, groups: Sequence[str] | None = None) -> PixelHistogram:
    histogram = PixelHistogram()
    histogram.update(maps, masks, groups)
    return histogram


def connected(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    # connectivity=2 means 8 neighbours.
    return np.asarray(measure.label(mask, connectivity=2))  # type: ignore[no-untyped-call]  # it has no annotations


def area_under_overlap_by_hand(maps: torch.Tensor, masks: torch.Tensor, limit: float) -> float:
    """AU-PRO threshold by threshold, as the MVTec AD paper words it."""
    value, mask = maps.numpy(), masks.numpy()
    labels = [connected(m) for m in mask]
    regions = [(n, label == region) for n, label in enumerate(labels) for region in range(1, label.max() + 1)]
    rate, overlap = [0.0], [0.0]
    for threshold in np.unique(value)[::-1]:
        called = value >= threshold
        rate.append(float(called[~mask].mean()))
        overlap.append(float(np.mean([called[n][region].mean() for n, region in regions])))
        if rate[-1] > limit:
            break
    at_limit = np.interp(limit, rate, overlap)
    x = np.array([r for r in rate if r <= limit] + [limit])
    y = np.array([o for r, o in zip(rate, overlap, strict=True) if r <= limit] + [at_limit])
    return float(np.trapezoid(y, x) / limit)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (1e-6, 0.0), (1e9, 0.0), (1.0, -50.0), (0.01, 1.0)])
def test_values_are_within_the_stated_bounds_of_the_exact_ones(scale: float, offset: float) -> None:
    maps, masks = maps_and_masks(scale=scale, offset=offset)
    histogram = streamed(maps, masks)
    counts = histogram.counts()
    score, truth = maps.numpy().ravel(), masks.numpy().ravel()
    bound = shared_bins(counts.negative, counts.positive)
    assert abs(roc_auc(counts.negative, counts.positive) - roc_auc_score(truth, score)) <= bound + 1e-12
    assert bound < (1e-3 if offset == 0 else 0.05)  # far from zero, the bins are coarse beside the spread
    precision, recall, _ = precision_recall_curve(truth, score)
    exact_f1 = (2 * precision * recall / np.maximum(precision + recall, 1e-300)).max()
    tp, fp = (np.cumsum(x[::-1])[::-1] for x in (counts.positive, counts.negative))
    within_bin = (
        2 * tp / (truth.sum() + tp + np.append(fp[1:], 0))
    )  # all defect pixels of the bin, none of its good ones
    assert best_f_score(counts.negative, counts.positive) <= exact_f1 + 1e-12
    assert exact_f1 <= within_bin.max() + 1e-12
    if offset == 0:
        exact_ap = average_precision_score(truth, score)
        assert average_precision(counts.negative, counts.positive) == pytest.approx(exact_ap, abs=2e-3)


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("offset", [0.0, 20.0])
def test_overlap_area_is_within_its_bound_of_the_plain_computation(limit: float, offset: float) -> None:
    maps, masks = maps_and_masks(number=5, side=24, offset=offset)
    histogram = streamed(maps, masks)
    counts, overlap = histogram.counts(), histogram.overlaps()
    exact = area_under_overlap_by_hand(maps, masks, limit)
    bound = 2 * shared_bins(counts.negative, overlap) / limit
    assert abs(overlap_area(counts.negative, overlap, limit) - exact) <= bound + 1e-9
    assert overlap.sum() == pytest.approx(sum(connected(m.numpy()).max() for m in masks))


@pytest.mark.parametrize("limit", [0.05, 0.3])
def test_maps_whose_values_begin_a_bin_are_evaluated_exactly(limit: float) -> None:
    maps, masks = maps_and_masks(number=5, side=24)
    maps = (maps * 64).round() / 64  # few enough binary digits to begin a bin, and many ties
    histogram = streamed(maps, masks)
    counts = histogram.counts()
    np.testing.assert_array_equal(counts.threshold, np.unique(maps.numpy()))
    exact = roc_auc_score(masks.numpy().ravel(), maps.numpy().ravel())
    assert roc_auc(counts.negative, counts.positive) == pytest.approx(exact, abs=1e-12)
    overlap = overlap_area(counts.negative, histogram.overlaps(), limit)
    assert overlap == pytest.approx(area_under_overlap_by_hand(maps, masks, limit), abs=1e-9)


def assert_identical(one: PixelHistogram, other: PixelHistogram) -> None:
    assert torch.equal(one.count, other.count)
    assert torch.equal(one.overlap, other.overlap)


def test_order_and_batching_of_pictures_make_no_difference_to_the_last_bit() -> None:
    maps, masks = maps_and_masks()
    together = streamed(maps, masks)
    order = torch.randperm(len(maps), generator=torch.Generator().manual_seed(1))
    one_by_one = PixelHistogram()
    for n in order:
        one_by_one.update(maps[n : n + 1], masks[n : n + 1])
    assert_identical(one_by_one, together)
    halves = streamed(maps[:4], masks[:4])
    halves.merge(streamed(maps[4:], masks[4:]))
    assert_identical(halves, together)


def test_every_pixel_is_counted_once_in_the_fine_and_in_the_coarse_bins() -> None:
    maps, masks = maps_and_masks()
    histogram = streamed(maps, masks, [f"part {n // 2}" for n in range(len(maps))])
    counts = histogram.counts()
    assert counts.negative.sum() == (~masks).sum()
    assert counts.positive.sum() == masks.sum()
    for picture, mask in zip(histogram.images, masks, strict=True):
        assert picture.negative.sum() == (~mask).sum()
        assert picture.positive.sum() == mask.sum()
    assert sum(int(p.overlap.sum()) for p in histogram.images) == int(histogram.overlap.sum())
    assert [p.group for p in histogram.images[:3]] == ["part 0", "part 0", "part 1"]


def test_infinite_values_rank_above_and_below_everything() -> None:
    maps = torch.tensor([[[-torch.inf, 0.0, 1.0, torch.inf]]])
    counts = streamed(maps, torch.tensor([[[0, 0, 1, 1]]])).counts()
    np.testing.assert_array_equal(counts.threshold, [-np.inf, 0, 1, np.inf])
    np.testing.assert_array_equal(counts.negative, [1, 1, 0, 0])
    np.testing.assert_array_equal(counts.positive, [0, 0, 1, 1])


def test_an_empty_histogram_gives_undefined_metrics() -> None:
    counts = PixelHistogram().counts()
    assert counts.threshold.size == 0
    assert np.isnan(roc_auc(counts.negative, counts.positive))
    assert np.isnan(overlap_area(counts.negative, PixelHistogram().overlaps()))


def test_broken_input_is_refused_and_leaves_the_histogram_as_it_was() -> None:
    maps, masks = maps_and_masks(number=2)
    histogram = PixelHistogram()
    with pytest.raises(ValueError, match="of one shape"):
        histogram.update(maps, masks[:, :-1])
    with pytest.raises(ValueError, match="one group name per picture, but got 1 for 2 pictures"):
        histogram.update(maps, masks, ["one"])
    maps[1, 3, 4] = torch.nan
    with pytest.raises(ValueError, match="without NaN"):
        histogram.update(maps, masks)
    assert_identical(histogram, PixelHistogram())
    assert not histogram.images


@pytest.mark.gpu
def test_a_cuda_device_counts_the_same_to_the_last_bit() -> None:
    maps, masks = maps_and_masks()
    groups = [str(n) for n in range(len(maps))]
    here, there = streamed(maps, masks, groups), PixelHistogram("cuda")
    there.update(maps.cuda(), masks.cuda(), groups)
    assert torch.equal(here.count, there.count.cpu())
    assert torch.equal(here.overlap, there.overlap.cpu())
    for one, other in zip(here.images, there.images, strict=True):
        np.testing.assert_array_equal(one.negative, other.negative)
        np.testing.assert_array_equal(one.overlap, other.overlap)
