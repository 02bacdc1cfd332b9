"""Merging of fragments against single linkage by all pairs of pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist, squareform

from callbacks.defects.merging import merge_near
from callbacks.statistics.regions import regions_of


def partition(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == value).tolist()) for value in np.unique(labels)}


@pytest.mark.parametrize("gap", [1.5, 2.0, 3.0, 5.0, 12.0])
@pytest.mark.parametrize("scale", [(1.0, 1.0), (2.5, 0.75)])
def test_groups_are_those_of_scipys_single_linkage(gap: float, scale: tuple[float, float]) -> None:
    for seed in range(4):
        generator = np.random.default_rng(seed)
        mask = generator.random((30, 36)) < 0.01 * (1 + seed)
        mask = cv2.dilate(mask.astype(np.uint8), np.ones((1 + seed % 2, 2), np.uint8)) > 0
        number, region = regions_of(mask)
        rows, columns = np.nonzero(mask)
        points = np.stack([columns * scale[0], rows * scale[1]], axis=1)
        labels = region[mask] - 1
        found = merge_near(labels, points, number - 1, gap)
        between = cdist(points, points)
        distance = np.array(
            [[between[np.ix_(labels == a, labels == b)].min() for a in range(number - 1)] for b in range(number - 1)]
        )
        np.fill_diagonal(distance, 0)
        expected = fcluster(linkage(squareform(distance, checks=False), "single"), gap + 1e-9, "distance")
        assert partition(found) == partition(expected)


def test_a_cut_scratch_is_one_and_two_large_neighbours_with_near_centres_are_told_apart() -> None:
    scratch = np.zeros((60, 60), dtype=bool)
    scratch[10, 2:28] = scratch[10, 31:58] = True  # centres 28 pixels apart, gap 4
    plates = np.zeros((60, 60), dtype=bool)
    plates[2:58, 20:24] = plates[2:58, 31:35] = True  # centres 11 pixels apart, gap 8
    for mask, expected in ((scratch, 1), (plates, 2)):
        number, region = regions_of(mask)
        points = np.argwhere(mask)[:, ::-1].astype(np.float64)
        assert len(set(merge_near(region[mask] - 1, points, number - 1, 5.0).tolist())) == expected


def test_pixels_in_one_line_and_single_pixels_are_merged_too() -> None:
    points = np.array([[0.0, 0.0], [3.0, 0.0], [7.0, 0.0]])
    assert merge_near(np.arange(3), points, 3, 3.0).tolist() == [0, 0, 1]
    assert merge_near(np.arange(3), points, 3, 0.0).tolist() == [0, 1, 2]
    assert merge_near(np.zeros(3, dtype=int), points, 1, 3.0).tolist() == [0]


def test_noise_all_over_a_large_map_is_merged_in_a_moment() -> None:
    mask = np.zeros((256, 256), dtype=bool)
    mask[::2, ::2] = True
    number, region = regions_of(mask)
    points = np.argwhere(mask)[:, ::-1].astype(np.float64)
    assert len(set(merge_near(region[mask] - 1, points, number - 1, 30.0).tolist())) == 1
