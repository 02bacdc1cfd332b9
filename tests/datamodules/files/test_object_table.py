"""The table of objects, held against scikit-image, OpenCV and brute force."""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage.measure import perimeter_crofton, regionprops

from datamodules.files.object_circles import enclosing_circles
from datamodules.files.object_table import object_table


def blobs(seed: int) -> npt.NDArray[np.int32]:
    """Number blobs of all shapes, some of which touch."""
    rng = np.random.default_rng(seed)
    label_HW = np.zeros((90, 110), np.int32)
    for number in range(2, 30):
        place = int(rng.integers(110)), int(rng.integers(90))
        half = int(rng.integers(0, 14)), int(rng.integers(0, 6))
        cv2.ellipse(label_HW, place, half, float(rng.integers(180)), 0, 360, number, -1)
    return label_HW


@pytest.mark.parametrize("seed", range(4))
def test_agreement_with_scikit_image(seed: int) -> None:
    label_HW = blobs(seed)
    table = object_table(label_HW, min_area=0)
    regions = regionprops(label_HW)  # type: ignore[no-untyped-call]  # the library has no annotations
    assert table["label"].tolist() == [region.label for region in regions]
    for row, region in zip(table.to_dict("records"), regions, strict=True):
        assert row["area"] == region.area
        assert (row["top"], row["left"], row["bottom"] + 1, row["right"] + 1) == region.bbox
        assert (row["y"], row["x"]) == pytest.approx(region.centroid)
        # There a pixel is a point, here a square: its own second moment is a twelfth.
        assert row["major"] ** 2 == pytest.approx(region.axis_major_length**2 + 16 / 12, rel=1e-6)
        assert row["minor"] ** 2 == pytest.approx(region.axis_minor_length**2 + 16 / 12, rel=1e-6, abs=1e-6)
        if row["major"] > 1.05 * row["minor"]:
            turned = (np.degrees(np.pi / 2 - region.orientation) - row["orientation"]) % 180
            assert min(turned, 180 - turned) == pytest.approx(0, abs=1e-6)
        crofton = perimeter_crofton(np.pad(region.image, 1), directions=4)  # type: ignore[no-untyped-call]
        assert row["perimeter"] == pytest.approx(crofton)


@pytest.mark.parametrize("seed", range(3))
def test_callipers_around_drawn_objects(seed: int) -> None:
    label_HW = blobs(seed)
    for row in object_table(label_HW).to_dict("records"):
        y, x = np.nonzero(label_HW == row["label"])
        corner_P2 = np.concatenate([np.stack([x + dx, y + dy], axis=1) for dx in (0, 1) for dy in (0, 1)])
        apart = np.linalg.norm(corner_P2[:, None] - corner_P2, axis=2).max()
        assert 0.9975 * apart <= row["longest"] <= apart + 1e-9
        turns = np.pi * np.arange(3600) / 3600
        widths = np.ptp(corner_P2 @ np.stack([np.cos(turns), np.sin(turns)]), axis=0)
        assert widths.min() - 1e-3 <= row["narrowest"] <= widths.min() * 1.01 + 0.005 * apart
        assert 2 * row["circle_radius"] >= apart - 1e-9


def smallest_circle(point_P2: npt.NDArray[np.float64]) -> float:
    """Return the radius by trying every pair and triple."""
    best = np.inf
    for some in (*combinations(range(len(point_P2)), 2), *combinations(range(len(point_P2)), 3)):
        corner = point_P2[list(some)]
        if len(some) == 2:
            center = corner.mean(axis=0)
        else:
            sides = 2 * (corner[1:] - corner[0])
            if abs(np.linalg.det(sides)) < 1e-9:
                continue
            center = np.linalg.solve(sides, (corner[1:] ** 2).sum(axis=1) - (corner[0] ** 2).sum())
        radius = np.linalg.norm(corner[0] - center)
        if radius < best and (np.linalg.norm(point_P2 - center, axis=1) <= radius + 1e-9).all():
            best = float(radius)
    return best


def test_circles_agree_with_every_pair_and_triple() -> None:
    rng = np.random.default_rng(3)
    counts = rng.integers(2, 12, 60)
    sets = [rng.integers(0, 9, (count, 2)).astype(float) for count in counts]  # many ties, some on a line
    center_S2, radius_S = enclosing_circles(np.concatenate(sets), np.cumsum(counts) - counts)
    for points, center, radius in zip(sets, center_S2, radius_S, strict=True):
        distinct = np.unique(points, axis=0)
        expected = smallest_circle(distinct) if len(distinct) > 1 else 0.0
        assert radius == pytest.approx(expected, abs=1e-9)
        assert np.linalg.norm(points - center, axis=1).max() <= radius + 1e-9


def test_scores_of_simple_shapes() -> None:
    label_HW = np.zeros((20, 40), np.int32)
    label_HW[2:4, 2:4] = 2
    label_HW[10, 5:10] = 3
    table = object_table(label_HW)
    assert table["circle_score"].tolist() == pytest.approx([1 - 4 / (2 * np.pi), 1 - 5 / (np.pi * 26 / 4)])
    assert table["circle_score_centres"].tolist() == pytest.approx([1 - 4 / (np.pi / 2), 1 - 5 / (4 * np.pi)])


def test_no_objects_is_an_empty_table() -> None:
    assert object_table(np.zeros((5, 5), np.int32)).empty
