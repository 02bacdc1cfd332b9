"""Detections: crops that lose nothing, and run lengths as pycocotools makes them of dense masks."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as rle

from datamodules.samples.detections import EMPTY, Instance, Region, dense_masks, run_lengths, trim


def instance(mask_HW: np.ndarray) -> Instance:
    whole = Region(0, 0, *mask_HW.shape)
    crop, region = trim(mask_HW, whole)
    return Instance((0.0, 0.0, 1.0, 1.0), 1, 0.5, region, crop, whole)


@pytest.mark.parametrize("seed", range(60))
def test_run_lengths_are_those_of_the_dense_mask(seed: int) -> None:
    generator = np.random.default_rng(seed)
    height, width = generator.integers(1, 12, 2).tolist()
    mask = generator.random((height, width)) < generator.choice([0.0, 0.1, 0.5, 0.9, 1.0])
    found = instance(mask)
    assert np.array_equal(dense_masks([found], (height, width))[0], mask)
    code = rle.frPyObjects({"size": [height, width], "counts": run_lengths(found, (height, width))}, height, width)
    assert code == rle.encode(np.asfortranarray(mask.astype(np.uint8)))


def test_a_crop_is_no_larger_than_it_has_to_be() -> None:
    mask = np.zeros((40, 50), bool)
    mask[10:12, 20] = mask[15, 30:33] = True
    found = instance(mask)
    assert found.region == Region(10, 20, 16, 33)
    assert found.mask.base is None  # the whole mask would stay in memory
    assert instance(np.zeros((4, 5), bool)).region == EMPTY


def test_what_regions_share() -> None:
    assert Region(0, 0, 5, 5).intersect(Region(3, 4, 9, 9)) == Region(3, 4, 5, 5)
    assert Region(0, 0, 5, 5).intersect(Region(5, 0, 9, 9)) is None
