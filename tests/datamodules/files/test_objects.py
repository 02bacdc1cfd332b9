"""Objects of binary maps, held against a literal flood, and against cases made by a slow reading of the source."""

from __future__ import annotations

import heapq
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from datamodules.errors import DataError
from datamodules.files.images import read_image
from datamodules.files.object_table import object_table
from datamodules.files.objects import object_labels

if TYPE_CHECKING:
    import numpy.typing as npt

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "metallography"


def disc(radius: int) -> npt.NDArray[np.bool_]:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(x**2 + y**2 <= radius**2)


def drawn(seed: int, *, shape: tuple[int, int] = (120, 150)) -> npt.NDArray[np.uint8]:
    """Draw inclusions of all sizes, black on white: some hollow, some near, some at the border."""
    rng = np.random.default_rng(seed)
    map_HW = np.full(shape, 255, np.uint8)
    for _ in range(40):
        place = int(rng.integers(shape[1])), int(rng.integers(shape[0]))
        half = int(rng.integers(1, 9)), int(rng.integers(1, 5))
        cv2.ellipse(map_HW, place, half, float(rng.integers(180)), 0, 360, 0, int(rng.choice([-1, -1, -1, 1, 2])))
    return map_HW


def flooded(on_HW: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Number objects by the book: close, number, and flood the band around them level by level, first come first."""
    square = np.ones((3, 3), np.bool_)
    grown = ndimage.binary_dilation(on_HW, square)
    closed = ndimage.binary_erosion(np.pad(grown, 1, constant_values=True), square)[1:-1, 1:-1]
    marker, _ = ndimage.label(closed, square)
    marker = marker.astype(np.int64) + 1
    band = ndimage.binary_dilation(closed, square, iterations=3) & ~closed
    marker[band] = 0
    grey = np.where(on_HW, 0, 255).astype(int)
    height, width = grey.shape
    marker[[0, -1]] = -1
    marker[:, [0, -1]] = -1
    queue: list[tuple[int, int, int, int]] = []
    count = 0

    def push(level: int, y: int, x: int) -> None:
        nonlocal count
        heapq.heappush(queue, (level, count, y, x))
        count += 1
        marker[y, x] = -2

    around = ((0, -1), (0, 1), (-1, 0), (1, 0))
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if marker[y, x] == 0:
                levels = [abs(grey[y, x] - grey[y + dy, x + dx]) for dy, dx in around if marker[y + dy, x + dx] > 0]
                if levels:
                    push(min(levels), y, x)
    while queue:
        level, _, y, x = heapq.heappop(queue)
        owners = {int(marker[y + dy, x + dx]) for dy, dx in around if marker[y + dy, x + dx] > 0}
        marker[y, x] = owners.pop() if len(owners) == 1 else -1
        if marker[y, x] == -1:
            continue
        for dy, dx in around:
            if marker[y + dy, x + dx] == 0:
                push(max(level, abs(grey[y, x] - grey[y + dy, x + dx])), y + dy, x + dx)
    return np.where(marker > 1, marker, 0)


@pytest.mark.parametrize("seed", range(6))
def test_labels_are_those_of_a_literal_flood(seed: int) -> None:
    map_HW = drawn(seed)
    found, expected = object_labels(map_HW), flooded(map_HW == 0)
    # OpenCV numbers by blocks of two rows, scipy row by row: the same parts under other numbers.
    pairs = np.unique(np.stack([found.ravel(), expected.ravel()], axis=1), axis=0)
    assert len(pairs) == len(np.unique(pairs[:, 0])) == len(np.unique(pairs[:, 1])) > 10
    assert pairs[0].tolist() == [0, 0]


def test_near_ones_stay_apart_and_none_grows() -> None:
    map_HW = np.full((60, 80), 255, np.uint8)
    map_HW[10:20, 5:25] = 0
    map_HW[10:20, 29:40] = 0  # four pixels further
    map_HW[40:43, 60:63] = 0
    found = object_table(object_labels(map_HW))
    assert found[["left", "top", "right", "bottom", "area"]].to_numpy().tolist() == [
        [5, 10, 24, 19, 200],
        [29, 10, 39, 19, 110],
        [60, 40, 62, 42, 9],
    ]
    assert found["label"].tolist() == [2, 3, 4]


@pytest.mark.parametrize(("side", "left_open"), [(5, 0), (16, 16 * 16 - 4)])
def test_a_hole_is_filled_that_the_band_covers(side: int, left_open: int) -> None:
    """Of a hole with ground in it, the object keeps the four corners, which it meets from two sides at once."""
    map_HW = np.full((60, 60), 255, np.uint8)
    map_HW[10:40, 10:40] = 0
    map_HW[15 : 15 + side, 15 : 15 + side] = 255
    assert object_table(object_labels(map_HW))["area"].tolist() == [900 - left_open]


def test_the_outermost_pixels_are_lost() -> None:
    map_HW = np.full((30, 30), 255, np.uint8)
    map_HW[:5, 10:20] = 0
    found = object_table(object_labels(map_HW))
    assert found[["top", "bottom", "area"]].to_numpy().tolist() == [[1, 4, 40]]


def test_ground_threshold_and_booleans() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[4:9, 4:9] = True
    black = np.where(mask, np.uint8(0), np.uint8(255))
    assert object_table(object_labels(mask))["area"].tolist() == [25]
    for values, ground in ((black, "auto"), (255 - black, "auto"), (black, "bright"), (255 - black, "dark")):
        assert object_table(object_labels(values, ground=ground))["area"].tolist() == [25]  # type: ignore[arg-type]
    assert object_table(object_labels(np.dstack([black] * 3)))["area"].tolist() == [25]
    grey = np.where(mask, np.uint8(64), np.uint8(255))
    assert object_table(object_labels(grey)).empty
    assert object_table(object_labels(grey, threshold=64))["area"].tolist() == [25]


def test_an_empty_map_has_no_objects() -> None:
    assert object_table(object_labels(np.full((9, 9), 255, np.uint8))).empty


def test_other_values_are_refused() -> None:
    for values in (np.zeros((9, 9), np.float32), np.zeros(9, np.uint8), np.zeros((0, 4), np.uint8)):
        with pytest.raises(DataError, match="Expected a map of 8 or 16-bit values or booleans"):
            object_labels(values)


@pytest.mark.parametrize("white", [1, 31, 85, 127])
def test_dim_maps_of_two_values_are_read_as_black_and_white(white: int) -> None:
    mask = np.zeros((40, 60), bool)
    mask[10:15, 20:25] = True
    for marked in (mask, ~mask):
        values = np.where(marked, white, 0).astype(np.uint8)
        np.testing.assert_array_equal(object_labels(values), object_labels(mask))


def test_sixteen_bits_are_read_like_eight() -> None:
    eight = drawn(3)
    for values in (eight.astype(np.uint16) * 257, eight.astype(np.uint16)):
        np.testing.assert_array_equal(object_labels(values), object_labels(eight))


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the shared cases")
def test_the_drawn_case() -> None:
    found = object_table(object_labels(read_image(CASES / "01_extract_drawn.png")))
    expected = pd.read_csv(CASES / "01_extract_drawn.csv")
    whole = ["label", "area", "top", "bottom", "left", "right"]
    assert found[whole].to_numpy().tolist() == expected[whole].to_numpy().tolist()
    np.testing.assert_allclose(found[["x", "y"]], expected[["centroid_x", "centroid_y"]], atol=1e-4)


@pytest.mark.parametrize(("name", "case"), [("scan1tag-47", "03_measures"), ("scan3tag-53", "02_measures")])
def test_real_maps(shared_data: Path, name: str, case: str) -> None:
    found = object_table(object_labels(read_image(shared_data / "metallography" / "inclusion_maps" / f"{name}.png")))
    expected = pd.read_csv(CASES / f"{case}_{name}.csv")
    whole = ["label", "area", "top", "bottom", "left", "right"]
    assert found[whole].to_numpy().tolist() == expected[whole].to_numpy().tolist()
    np.testing.assert_allclose(found[["x", "y"]], expected[["centroid_x", "centroid_y"]], atol=1e-6)
