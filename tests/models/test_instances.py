from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torchvision.models.detection.roi_heads import paste_masks_in_image, project_masks_on_boxes
from torchvision.ops import masks_to_boxes

from models.instances import Detections, empty_detections, merge_detections, paste_masks

if TYPE_CHECKING:
    from torch import Tensor

SIZE = (90, 120)
TILE = 40


def detections(masks: Tensor, scores: list[float] | None = None, labels: list[int] | None = None) -> Detections:
    """Make detections of masks (D, H, W) that are nowhere empty."""
    boxes = masks_to_boxes(masks) + torch.tensor([0.0, 0.0, 1.0, 1.0])
    return {
        "boxes": boxes,
        "labels": torch.tensor(labels or [1] * len(masks)),
        "scores": torch.tensor(scores or [0.5] * len(masks)),
        "masks": masks,
    }


def blob(y: float, x: float, radius: float, size: tuple[int, int] = SIZE) -> Tensor:
    ys, xs = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    return (ys - y) ** 2 + (xs - x) ** 2 <= radius**2


def corners(overlap: int) -> list[tuple[int, int]]:
    step = TILE - overlap
    return list(product(range(0, SIZE[0], step), range(0, SIZE[1], step)))


def look(truth: Tensor, corner: tuple[int, int], scores: list[float] | None = None) -> Detections:
    """See what a perfect detector sees of (D, H, W) masks on one tile, which may reach beyond the picture."""
    padded = torch.nn.functional.pad(truth, (0, TILE, 0, TILE))
    y, x = corner
    masks = padded[:, y : y + TILE, x : x + TILE]
    there = masks.flatten(1).any(dim=1)
    chosen = None if scores is None else [score for score, is_there in zip(scores, there, strict=True) if is_there]
    return detections(masks[there], chosen) if there.any() else empty_detections(TILE, TILE)


@pytest.mark.parametrize("overlap", [4, 10, 20])
def test_what_many_tiles_saw_a_part_of_becomes_the_defects_that_there_are(overlap: int) -> None:
    """One defect within a tile, one larger than two, a line through the whole picture, and two close to each other."""
    line = torch.zeros(SIZE, dtype=torch.bool)
    line[84:87] = True
    truth = torch.stack([blob(12, 12, 4), blob(45, 60, 25), line, blob(10, 80, 5), blob(10, 92, 5)])
    scores = [0.9, 0.8, 0.7, 0.6, 0.5]
    merged = merge_detections((look(truth, corner, scores) for corner in corners(overlap)), corners(overlap), SIZE)
    assert torch.equal(merged["masks"], truth)
    assert merged["scores"].tolist() == pytest.approx(scores)
    assert torch.equal(merged["boxes"], masks_to_boxes(truth) + torch.tensor([0.0, 0.0, 1.0, 1.0]))
    assert merged["labels"].tolist() == [1] * 5


def test_masks_that_do_not_agree_where_both_tiles_look_stay_apart() -> None:
    left, right = torch.zeros(2, 1, 20, 20, dtype=torch.bool)
    left[0, 2:6, 10:20] = True  # reaches into the shared columns 12 to 19 of the picture
    right[0, 5:12, 0:9] = True  # the row 5 is all that they share
    parts, offsets = [detections(left), detections(right)], [(0, 0), (0, 12)]
    shared, smaller = 8, 4 * 8
    assert len(merge_detections(parts, offsets, (20, 32), shared / smaller + 0.01)["scores"]) == 2
    joined = merge_detections(parts, offsets, (20, 32), shared / smaller)
    assert len(joined["scores"]) == 1
    assert int(joined["masks"].sum()) == int(left.sum() + right.sum()) - shared


def test_labels_and_tiles_are_told_apart() -> None:
    whole = blob(10, 10, 5, (20, 20))[None]
    same_tile = detections(torch.cat([whole, whole]), [0.9, 0.8])
    assert len(merge_detections([same_tile], [(0, 0)], (20, 20))["scores"]) == 2
    other_label = [detections(whole, labels=[1]), detections(whole[:, :, 2:], labels=[2])]
    assert len(merge_detections(other_label, [(0, 0), (0, 2)], (20, 20))["scores"]) == 2


def test_what_lies_beyond_the_picture_is_cut_off_and_what_has_no_mask_dropped() -> None:
    part = detections(torch.ones(1, 10, 10, dtype=torch.bool))
    part = {name: torch.cat([value, value]) for name, value in part.items()}
    part["masks"][1] = False
    merged = merge_detections([part], [(5, -3)], (12, 20))
    assert merged["boxes"].tolist() == [[0, 5, 7, 12]]
    assert int(merged["masks"].sum()) == 7 * 7
    outside = merge_detections([part], [(20, 0)], (12, 20))
    assert {name: tuple(value.shape) for name, value in outside.items()} == {
        "boxes": (0, 4),
        "labels": (0,),
        "scores": (0,),
        "masks": (0, 12, 20),
    }
    assert outside["labels"].dtype == torch.int64


def test_pasted_masks_give_back_what_the_network_learns_from() -> None:
    """Cut masks out as torchvision does for its loss, lay them back: closer than its own way, and without a shift."""
    generator = np.random.default_rng(0)
    ours, theirs, shift = [], [], []
    for _ in range(40):
        y, x = generator.uniform(20, 60, 2)
        mask = blob(y, x, generator.uniform(3, 15), (80, 80))[None]
        box = masks_to_boxes(mask) + torch.tensor([0.0, 0.0, 1.0, 1.0])
        cut = project_masks_on_boxes(mask.float(), box, torch.zeros(1, dtype=torch.int64), 28)
        pasted = paste_masks(cut, box, 80, 80)[0] >= 0.5
        other = paste_masks_in_image(cut[:, None], box, (80, 80))[0, 0] >= 0.5
        ours.append(iou(pasted, mask[0]))
        theirs.append(iou(other, mask[0]))
        shift.append((centre(pasted) - centre(mask[0])).tolist())
    assert np.mean(ours) > max(0.97, float(np.mean(theirs)))
    assert np.abs(np.mean(shift, axis=0)).max() < 0.1


def test_nothing_is_pasted_outside_a_box() -> None:
    pasted = paste_masks(torch.ones(2, 28, 28), torch.tensor([[2.0, 3.0, 7.0, 5.0], [-4.0, -4.0, 100.0, 1.2]]), 8, 9)
    expected = torch.zeros(2, 8, 9)
    expected[0, 3:5, 2:7] = 1
    expected[1, :1] = 1
    assert torch.equal(pasted, expected)
    assert paste_masks(torch.zeros(0, 28, 28), torch.zeros(0, 4), 8, 9).shape == (0, 8, 9)


def iou(first: Tensor, second: Tensor) -> float:
    return float((first & second).sum() / (first | second).sum())


def centre(mask: Tensor) -> Tensor:
    return mask.nonzero().double().mean(dim=0)
