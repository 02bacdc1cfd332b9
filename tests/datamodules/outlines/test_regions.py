"""Masks, run lengths, circles and boxes as rings: filled again they are the same to the pixel, as in pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as oracle

from datamodules.outlines.polygons import Mask, OutlineError, fill
from datamodules.outlines.regions import box_ring, circle_ring, mask_rings, run_length_mask

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools and numpy 2


def drawn_mask(rng: np.random.Generator) -> Mask:
    """Draw boxes over each other, some of them holes, or noise."""
    height, width = (int(value) for value in rng.integers(1, 40, 2))
    if rng.random() < 0.3:
        return np.asarray(rng.random((height, width)) < rng.random())
    mask = np.zeros((height, width), dtype=np.bool_)
    for _ in range(int(rng.integers(1, 9))):
        top, left = (int(value) for value in rng.integers([0, 0], [height, width]))
        below, right = (int(value) for value in rng.integers([top, left], [height + 1, width + 1]))
        mask[top:below, left:right] = rng.random() < 0.7
    return mask


def test_rings_of_a_mask_fill_it_again_to_the_pixel() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        mask = drawn_mask(rng)
        np.testing.assert_array_equal(fill(mask_rings(mask), *mask.shape), mask)


def test_a_region_without_a_hole_is_one_ring() -> None:
    mask = np.zeros((20, 20), dtype=np.bool_)
    mask[4:9, 3:12] = mask[6:15, 8:16] = True
    assert len(mask_rings(mask)) == 1
    mask[8:10, 9:11] = False
    assert len(mask_rings(mask)) == 4  # before, above, below and behind the hole


def test_run_lengths_are_decoded_as_pycocotools_decodes_them() -> None:
    rng = np.random.default_rng(2)
    for _ in range(300):
        mask = drawn_mask(rng)
        encoded = oracle.encode(np.asfortranarray(mask.astype(np.uint8)))
        text = encoded["counts"].decode()
        np.testing.assert_array_equal(run_length_mask({"size": encoded["size"], "counts": text}), mask)
        flat = mask.T.ravel().astype(int)
        counts = np.diff([0, *(np.flatnonzero(np.diff([0, *flat])) if flat.size else []), len(flat)]).tolist()
        np.testing.assert_array_equal(run_length_mask({"size": encoded["size"], "counts": counts}), mask)


def test_a_damaged_text_is_refused_or_decoded_but_never_worse() -> None:
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(500):
        mask = drawn_mask(rng)
        encoded = oracle.encode(np.asfortranarray(mask.astype(np.uint8)))
        text = list(encoded["counts"].decode())
        for _ in range(int(rng.integers(1, 4))):
            text[int(rng.integers(len(text)))] = chr(int(rng.integers(1, 500)))
        try:
            assert run_length_mask({"size": encoded["size"], "counts": "".join(text)}).shape == mask.shape
        except OutlineError:
            refused += 1
    assert refused > 300


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"counts": [4, 5]}, "at size None"),
        ({"counts": [4, 5], "size": [3]}, "at size"),
        ({"counts": [4, 5], "size": [3, 3.5]}, "at size"),
        ({"counts": [4, 5], "size": [-3, -3]}, "at size"),
        ({"counts": [4, 5], "size": ["3", float("nan")]}, "at size"),
        ({"counts": [4, 4], "size": [3, 3]}, "add up to 8"),
        ({"counts": [10, -1], "size": [3, 3]}, "not whole numbers"),
        ({"counts": [4.5, 4.5], "size": [3, 3]}, "not whole numbers"),
        ({"counts": ["4", "5"], "size": [3, 3]}, "not whole numbers"),
        ({"counts": [10**400], "size": [3, 3]}, "not whole numbers"),
        ({"counts": None, "size": [3, 3]}, "not whole numbers"),
        ({"counts": {"0": 9}, "size": [3, 3]}, "not whole numbers"),
        ({"counts": [10**10], "size": [10**5, 10**5]}, "more than any image has"),
        ({"counts": "é", "size": [3, 3]}, "cannot be decoded"),
        ({"counts": "PPPPPPPPPPPPPPPPPPPP", "size": [3, 3]}, "cannot be decoded"),
        ({"counts": "P", "size": [3, 3]}, "cut short"),
    ],
)
def test_run_lengths_that_cannot_be_right_are_refused(segmentation: dict[str, object], message: str) -> None:
    with pytest.raises(OutlineError, match=message):
        run_length_mask(segmentation)


def test_a_circle_has_its_area() -> None:
    ring = circle_ring(np.array([30.0, 25.0]), np.array([30.0, 35.0]))
    assert fill([ring], 60, 60).sum() == pytest.approx(np.pi * 100, rel=0.01)
    with pytest.raises(OutlineError, match="radius 0"):
        circle_ring(np.array([3.0, 3.0]), np.array([3.0, 3.0]))


def test_a_box_is_left_top_width_and_height() -> None:
    mask = fill([box_ring([2, 3, "4", 5.0])], 12, 12)
    assert mask.sum() == 20
    assert mask[3:8, 2:6].all()


@pytest.mark.parametrize("box", [None, [], [1, 2, 3], [1, 2, 0, 3], [1, 2, -4, 3], [1, 2, float("nan"), 3], "1 2 3 4"])
def test_a_box_that_is_none_is_refused(box: object) -> None:
    with pytest.raises(OutlineError, match="box"):
        box_ring(box)
