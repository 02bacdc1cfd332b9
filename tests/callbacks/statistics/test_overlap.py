"""Dice and boundary F1 against scipy's distances, scikit-learn's F1 and cases that can be counted by hand."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import distance_transform_edt, shift
from sklearn.metrics import f1_score

from callbacks.statistics.bootstrap import Resampling
from callbacks.statistics.overlap import BoundaryCounts, OverlapMeter, boundary, boundary_counts, boundary_f1, dice

Mask = npt.NDArray[np.bool_]


def blobs(seed: int, share: float = 0.3) -> Mask:
    """Random regions of various shapes."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((10, 12)) < share
    return np.asarray(coarse.repeat(5, axis=0).repeat(4, axis=1))


@pytest.mark.parametrize("seed", range(5))
def test_dice_is_f1_over_pixels(seed: int) -> None:
    predicted, true = blobs(seed), blobs(seed + 100)
    assert dice(predicted, true) == pytest.approx(f1_score(true.ravel(), predicted.ravel()))


def test_dice_of_nothing() -> None:
    nothing, something = np.zeros((4, 4), dtype=bool), np.eye(4, dtype=bool)
    assert math.isnan(dice(nothing, nothing))
    assert dice(nothing, something) == dice(something, nothing) == 0
    assert dice(something, something) == 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tolerance", [1.0, 2.0, 3.5])
def test_boundaries_match_by_exact_distances(seed: int, tolerance: float) -> None:
    predicted, true = blobs(seed), blobs(seed + 100)
    edges = [mask & (distance_transform_edt(mask) <= tolerance) for mask in (predicted, true)]
    np.testing.assert_array_equal(boundary(predicted, tolerance), edges[0])
    hits = [
        int((distance_transform_edt(~other)[edge] <= tolerance).sum())
        for edge, other in zip(edges, edges[::-1], strict=True)
    ]
    counts = boundary_counts(predicted, true, tolerance)
    assert counts == BoundaryCounts(int(edges[0].sum()), hits[0], int(edges[1].sum()), hits[1])
    precision, recall = hits[0] / edges[0].sum(), hits[1] / edges[1].sum()
    assert float(boundary_f1(counts)) == pytest.approx(2 * precision * recall / (precision + recall))


@pytest.mark.parametrize("seed", range(20))
def test_what_lies_far_from_all_marks_changes_no_count(seed: int) -> None:
    """A few marks in a large image, some at its border, are counted as by distances over all of it."""
    rng = np.random.default_rng(seed)
    predicted, true = np.zeros((2, 60, 90), dtype=bool)
    for mask in (predicted, true):
        for _ in range(rng.integers(0, 3)):
            row, column = rng.integers(0, 60), rng.integers(0, 90)
            mask[row : row + rng.integers(1, 30), column : column + rng.integers(1, 30)] = True
    edges = [mask & (distance_transform_edt(mask) <= 2) if not mask.all() else mask for mask in (predicted, true)]
    hits = [
        int((distance_transform_edt(~other)[edge] <= 2).sum()) if other.any() else 0
        for edge, other in zip(edges, edges[::-1], strict=True)
    ]
    assert boundary_counts(predicted, true) == (int(edges[0].sum()), hits[0], int(edges[1].sum()), hits[1])


def test_a_thin_line_is_its_own_boundary_and_may_be_off_by_the_tolerance() -> None:
    line = np.zeros((40, 60), dtype=bool)
    line[10:13] = True
    assert np.array_equal(boundary(line), line)
    for off, wanted in ((1, 1.0), (2, 1.0), (4, 1 / 3), (9, 0.0)):
        moved = shift(line.astype(np.uint8), (off, 0)).astype(bool)
        assert float(boundary_f1(boundary_counts(moved, line))) == pytest.approx(wanted)
    assert dice(shift(line.astype(np.uint8), (2, 0)).astype(bool), line) == pytest.approx(1 / 3)


def test_the_border_of_the_picture_is_no_boundary() -> None:
    full = np.ones((20, 20), dtype=bool)
    assert not boundary(full).any()
    half = full.copy()
    half[:, 10:] = False
    assert np.array_equal(np.flatnonzero(boundary(half).any(axis=0)), [8, 9])


def test_no_prediction_scores_zero_and_no_truth_is_undefined() -> None:
    assert float(boundary_f1(BoundaryCounts(0, 0, 50, 0))) == 0
    assert math.isnan(float(boundary_f1(BoundaryCounts(50, 0, 0, 0))))


def test_estimates_are_those_of_all_pictures_and_their_intervals_cover_them() -> None:
    pairs = [(blobs(seed), blobs(seed) ^ (blobs(seed + 50, 0.05))) for seed in range(12)]
    pairs.append((blobs(99, 0.1), np.zeros_like(blobs(0))))  # false marks on a good image
    predicted, true = (np.stack(masks) for masks in zip(*pairs, strict=True))
    meter = OverlapMeter()
    meter.update(predicted[:5], true[:5], [f"g{index % 4}" for index in range(5)])
    meter.update(predicted[5:], true[5:], [f"g{index % 4}" for index in range(5, 13)])
    estimates = meter.estimates(Resampling(200))
    assert estimates["pixel_dice"].value == pytest.approx(np.mean([dice(*pair) for pair in pairs[:12]]))
    total = np.sum([boundary_counts(*pair) for pair in pairs], axis=0)
    assert estimates["boundary_f1"].value == pytest.approx(float(boundary_f1(total)))
    for estimate in estimates.values():
        assert estimate.low < estimate.value < estimate.high
    without_truth = OverlapMeter()
    without_truth.update(predicted[12:], true[12:], ["g"])
    assert without_truth.estimates(Resampling(200)) == {}
