from __future__ import annotations

import numpy as np
import pytest
import torch

from datamodules.files.fitting import place
from datamodules.outlines.classes import DEFECT, PART
from datamodules.outlines.instances import component_target, defect_mask, instance_target
from datamodules.outlines.polygons import Outline, fill
from datamodules.samples.batch import Sample, collate


def square(x: float, y: float, side: float, label: str = "") -> Outline:
    return Outline((np.array([(x, y), (x + side, y), (x + side, y + side), (x, y + side)]),), label)


def test_boxes_labels_and_masks_at_the_size_of_the_picture() -> None:
    target = instance_target(
        [square(2, 3, 5), square(10, 1, 4, "O-Ring ")], place((16, 20), (16, 20)), parts=("o-ring",)
    )
    assert target["boxes"].tolist() == [[2, 3, 7, 8], [10, 1, 14, 5]]
    assert target["boxes"].dtype == torch.float32
    assert target["labels"].tolist() == [DEFECT, PART]
    assert target["masks"].shape == (2, 16, 20)
    assert target["masks"].dtype == torch.uint8
    assert target["masks"].sum(dim=(1, 2)).tolist() == [25, 16]
    assert torch.equal(defect_mask(target), target["masks"][0].bool())  # the ring itself is not a defect


@pytest.mark.parametrize("size", [(8, 10), (64, 50), (7, 33)])
def test_targets_scale_with_the_picture(size: tuple[int, int]) -> None:
    target = instance_target([square(4, 6, 8)], place((32, 40), size))
    rows, columns = size[0] / 32, size[1] / 40
    expected = [4 * columns, 6 * rows, 12 * columns, 14 * rows]
    assert target["boxes"][0].tolist() == pytest.approx(expected, abs=1)
    assert float(target["masks"].sum()) == pytest.approx(64 * rows * columns, rel=0.5)


def test_nothing_is_lost_however_far_it_shrinks() -> None:
    specks = [square(100 * step, 70 * step, 3) for step in range(1, 8)]
    target = instance_target(specks, place((2048, 2448), (64, 64)))
    assert len(target["boxes"]) == 7
    assert (target["masks"].sum(dim=(1, 2)) >= 1).all()
    assert ((target["boxes"][:, 2:] - target["boxes"][:, :2]) >= 1).all()


def test_negatives_have_empty_targets_of_the_right_shape() -> None:
    target = instance_target([], place((32, 40), (8, 10)))
    assert target["boxes"].shape == (0, 4)
    assert target["boxes"].dtype == torch.float32
    assert target["labels"].shape == (0,)
    assert target["labels"].dtype == torch.int64
    assert target["masks"].shape == (0, 8, 10)
    assert not defect_mask(target).any()
    assert defect_mask(target).shape == (8, 10)


def test_boxes_hold_their_masks_exactly() -> None:
    rng = np.random.default_rng(0)
    outlines = [Outline((rng.uniform(0, 40, (6, 2)),)) for _ in range(20)]
    target = instance_target(outlines, place((40, 40), (40, 40)))
    masks = [fill(outline.rings, 40, 40) for outline in outlines]
    for box, mask in zip(target["boxes"].int().tolist(), [mask for mask in masks if mask.any()], strict=True):
        x1, y1, x2, y2 = box
        assert mask[y1:y2, x1:x2].sum() == mask.sum()
        assert mask[y1:y2, x1].any() and mask[y1:y2, x2 - 1].any()  # noqa: PT018 - one fact: it is tight
        assert mask[y1, x1:x2].any() and mask[y2 - 1, x1:x2].any()  # noqa: PT018 - the same


def test_a_batch_of_defects_and_negatives_keeps_every_target() -> None:
    targets = [instance_target([square(1, 1, 3)], place((8, 8), (8, 8))), instance_target([], place((8, 8), (8, 8)))]
    samples = [
        Sample(image=torch.zeros(3, 8, 8), name=str(index), image_path="", label_index=1 - index, target=target)
        for index, target in enumerate(targets)
    ]
    batch = collate(samples).to("cpu")
    assert [len(target["boxes"]) for target in batch.target] == [1, 0]


def test_what_is_connected_in_a_mask_is_one_instance() -> None:
    mask = np.zeros((16, 20), bool)
    mask[1:4, 2:5] = mask[4:6, 5:9] = True  # they touch at a corner
    mask[10:12, 0:3] = True
    mask[15, 19] = True  # a single pixel, in the corner
    target = component_target(mask)
    assert target["boxes"].tolist() == [[2, 1, 9, 6], [0, 10, 3, 12], [19, 15, 20, 16]]
    assert target["boxes"].dtype == torch.float32
    assert target["labels"].tolist() == [DEFECT] * 3
    assert target["masks"].dtype == torch.uint8
    assert target["masks"].sum(dim=(1, 2)).tolist() == [17, 6, 1]
    assert np.array_equal(defect_mask(target).numpy(), mask)


def test_an_empty_mask_is_a_negative() -> None:
    target, negative = component_target(np.zeros((8, 10), bool)), instance_target([], place((8, 10), (8, 10)))
    for name, value in negative.items():
        assert target[name].shape == value.shape
        assert target[name].dtype == value.dtype
