"""Objects of binary maps, held against scipy and drawn maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from scipy import ndimage

from datamodules.errors import DataError
from datamodules.files.images import read_image
from datamodules.files.objects import label_map, objects_in

if TYPE_CHECKING:
    from pathlib import Path


def test_objects_of_known_size() -> None:
    picture = np.full((60, 80), 255, np.uint8)
    picture[10:20, 5:25] = 0
    picture[40:43, 60:63] = 0
    found = objects_in(picture, dilations=0)
    assert found[["x", "y", "width", "height", "area"]].to_numpy().tolist() == [[5, 10, 20, 10, 200], [60, 40, 3, 3, 9]]
    assert found[["centroid_x", "centroid_y"]].to_numpy().tolist() == [[14.5, 14.5], [61.0, 41.0]]


def test_small_ones_are_dropped_and_near_ones_joined() -> None:
    picture = np.full((60, 80), 255, np.uint8)
    picture[10, 10:13] = 0  # three pixels
    picture[30, 20:24] = 0
    picture[30, 28:32] = 0  # four pixels further
    assert len(objects_in(picture, dilations=0)) == 2
    joined = objects_in(picture, dilations=3)
    assert joined[["x", "y", "width", "height"]].to_numpy().tolist() == [[7, 7, 9, 7], [17, 27, 18, 7]]


def test_bright_objects_and_booleans() -> None:
    mask = np.zeros((30, 30), np.bool_)
    mask[4:9, 4:9] = True
    for picture, dark in ((mask, True), (mask.astype(np.uint8) * np.uint8(255), False), (~mask * np.uint8(255), True)):
        assert objects_in(picture, dark=dark, dilations=0)["area"].tolist() == [25]


def test_areas_and_numbers_agree_with_scipy() -> None:
    rng = np.random.default_rng(0)
    picture = (ndimage.gaussian_filter(rng.normal(size=(200, 260)), 3) < 0.08) * np.uint8(255)
    found, labels = objects_in(picture), label_map(picture)
    square = np.ones((3, 3), np.bool_)
    on = ndimage.binary_closing(np.pad(picture == 0, 1), square)[1:-1, 1:-1] | (picture == 0)
    grown = ndimage.binary_dilation(on, square, iterations=3)
    expected, count = ndimage.label(grown, structure=square)
    areas = np.bincount(expected.ravel())[1:]
    assert len(areas) == count
    assert sorted(found["area"]) == sorted(areas[areas > 3])
    assert [int((labels == label).sum()) for label in found["label"]] == found["area"].tolist()


def test_an_empty_map_has_no_objects() -> None:
    assert objects_in(np.full((9, 9), 255, np.uint8)).empty


def test_other_values_are_refused() -> None:
    with pytest.raises(DataError, match="Expected a map of 8-bit values or booleans"):
        objects_in(np.zeros((9, 9), np.float32))


def test_the_example_of_the_paper(shared_data: Path) -> None:
    picture = read_image(shared_data / "metallography" / "inclusion_maps" / "scan1tag-47.png")
    found = objects_in(picture)
    assert 500 < len(found) < 2000
    boxes = found[["x", "y", "width", "height"]].to_numpy()
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= picture.shape[1::-1]).all()
    assert cv2.countNonZero(label_map(picture)) == found["area"].sum()
