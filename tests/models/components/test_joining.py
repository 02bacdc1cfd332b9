from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torchvision.models.detection.roi_heads import paste_masks_in_image, project_masks_on_boxes
from torchvision.ops import masks_to_boxes

from datamodules.samples.detections import EMPTY, Instance, Region, dense_masks
from models.components import joining
from models.components.joining import join_instances, merge_tiles, overlap, unite
from models.components.laying import soft_crop
from tests.found import as_instances, same

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from datamodules.samples.detections import Detections

SIZE = (90, 120)
TILE = 40


def detections(masks: Tensor, scores: list[float] | None = None, labels: list[int] | None = None) -> Detections:
    """Make detections of masks (D, H, W) that are nowhere empty."""
    boxes = masks_to_boxes(masks) + torch.tensor([0.0, 0.0, 1.0, 1.0])
    labelled = torch.tensor(labels or [1] * len(masks))
    sure = torch.tensor(scores or [0.5] * len(masks), dtype=torch.float64)
    return as_instances({"boxes": boxes, "labels": labelled, "scores": sure, "masks": masks})


def dense(found: Detections, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.from_numpy(dense_masks(found, size))


def blob(y: float, x: float, radius: float, size: tuple[int, int] = SIZE) -> Tensor:
    ys, xs = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    return (ys - y) ** 2 + (xs - x) ** 2 <= radius**2


def corners(overlap: int) -> list[tuple[int, int]]:
    step = TILE - overlap
    return list(product(range(0, SIZE[0], step), range(0, SIZE[1], step)))


def look(truth: Tensor, corner: tuple[int, int], scores: list[float] | None = None) -> Detections:
    """See what a perfect detector sees of (D, H, W) masks on one tile, which may reach beyond the image."""
    padded = torch.nn.functional.pad(truth, (0, TILE, 0, TILE))
    y, x = corner
    masks = padded[:, y : y + TILE, x : x + TILE]
    there = masks.flatten(1).any(dim=1)
    chosen = None if scores is None else [score for score, is_there in zip(scores, there, strict=True) if is_there]
    return detections(masks[there], chosen) if there.any() else []


@pytest.mark.parametrize("overlap", [4, 10, 20])
def test_what_many_tiles_saw_a_part_of_becomes_the_defects_that_there_are(overlap: int) -> None:
    """One defect within a tile, one larger than two, a line through the whole image, and two close to each other."""
    line = torch.zeros(SIZE, dtype=torch.bool)
    line[84:87] = True
    truth = torch.stack([blob(12, 12, 4), blob(45, 60, 25), line, blob(10, 80, 5), blob(10, 92, 5)])
    scores = [0.9, 0.8, 0.7, 0.6, 0.5]
    merged = merge_tiles((look(truth, corner, scores) for corner in corners(overlap)), corners(overlap), SIZE)
    assert torch.equal(dense(merged), truth)
    assert [one.score for one in merged] == pytest.approx(scores)
    assert [list(one.box) for one in merged] == (masks_to_boxes(truth) + torch.tensor([0.0, 0.0, 1.0, 1.0])).tolist()
    assert [one.label for one in merged] == [1] * 5


def test_masks_that_do_not_agree_where_both_tiles_look_stay_apart() -> None:
    left, right = torch.zeros(2, 1, 20, 20, dtype=torch.bool)
    left[0, 2:6, 10:20] = True  # reaches into the shared columns 12 to 19 of the image
    right[0, 5:12, 0:9] = True  # the row 5 is all that they share
    parts, offsets = [detections(left), detections(right)], [(0, 0), (0, 12)]
    shared, smaller = 8, 4 * 8
    assert len(merge_tiles(parts, offsets, (20, 32), shared / smaller + 0.01)) == 2
    (joined,) = merge_tiles(parts, offsets, (20, 32), shared / smaller)
    assert int(joined.mask.sum()) == int(left.sum() + right.sum()) - shared


def test_labels_and_tiles_are_told_apart() -> None:
    whole = blob(10, 10, 5, (20, 20))[None]
    same_tile = detections(torch.cat([whole, whole]), [0.9, 0.8])
    assert len(merge_tiles([same_tile], [(0, 0)], (20, 20))) == 2
    other_label = [detections(whole, labels=[1]), detections(whole[:, :, 2:], labels=[2])]
    assert len(merge_tiles(other_label, [(0, 0), (0, 2)], (20, 20))) == 2


def test_what_lies_beyond_the_picture_is_cut_off_and_what_has_no_mask_dropped() -> None:
    part = detections(torch.ones(1, 10, 10, dtype=torch.bool))
    part.append(part[0]._replace(region=EMPTY, mask=np.zeros((0, 0), bool)))
    (merged,) = merge_tiles([part], [(5, -3)], (12, 20))
    assert list(merged.box) == [0, 5, 7, 12]
    assert int(merged.mask.sum()) == 7 * 7
    assert merge_tiles([part], [(20, 0)], (12, 20)) == []


def test_pasted_masks_give_back_what_the_network_learns_from() -> None:
    """Cut masks out as torchvision does for its loss, lay them back: closer than its own way, and without a shift."""
    generator = np.random.default_rng(0)
    ours, theirs, shift = [], [], []
    for _ in range(40):
        y, x = generator.uniform(20, 60, 2)
        mask = blob(y, x, generator.uniform(3, 15), (80, 80))[None]
        box = masks_to_boxes(mask) + torch.tensor([0.0, 0.0, 1.0, 1.0])
        cut = project_masks_on_boxes(mask.float(), box, torch.zeros(1, dtype=torch.int64), 28)
        pasted = paste(cut[0], box[0], (80, 80)) >= 0.5
        other = paste_masks_in_image(cut[:, None], box, (80, 80))[0, 0] >= 0.5
        ours.append(iou(pasted, mask[0]))
        theirs.append(iou(other, mask[0]))
        shift.append((centre(pasted) - centre(mask[0])).tolist())
    assert np.mean(ours) > max(0.97, float(np.mean(theirs)))
    assert np.abs(np.mean(shift, axis=0)).max() < 0.1


def test_nothing_is_pasted_outside_a_box() -> None:
    boxes = torch.tensor([[2.0, 3.0, 7.0, 5.0], [-4.0, -4.0, 100.0, 1.2], [3.0, 20.0, 6.0, 30.0]])
    expected = torch.zeros(3, 8, 9)
    expected[0, 3:5, 2:7] = 1
    expected[1, :1] = 1
    for box, wanted in zip(boxes, expected, strict=True):
        assert torch.equal(paste(torch.ones(28, 28), box, (8, 9)), wanted)


def test_masks_are_pasted_as_torch_interpolates() -> None:
    generator = torch.Generator().manual_seed(3)
    for _ in range(50):
        mask = torch.rand(14, 14, generator=generator)
        corner = 60 * torch.rand(2, generator=generator) - 10
        box = torch.cat([corner, corner + 0.5 + 40 * torch.rand(2, generator=generator)])
        torch.testing.assert_close(paste(mask, box, (50, 70)), interpolated(mask, box, 50, 70), rtol=0, atol=2e-6)


def paste(mask: Tensor, box: Tensor, size: tuple[int, int]) -> Tensor:
    soft, region = soft_crop(mask.numpy(), box.numpy(), size)
    pasted = np.zeros(size, np.float32)
    pasted[region.slices] = soft
    return torch.from_numpy(pasted)


def interpolated(mask: Tensor, box: Tensor, height: int, width: int) -> Tensor:
    """Lay a mask into its box by torch's own interpolation: what Mask R-CNN did before bundles had to do the same."""
    x1, y1, x2, y2 = box
    x, y = torch.arange(width).float(), torch.arange(height).float()
    grid = torch.stack(
        [
            (2 * (x - x1) / (x2 - x1) - 1).expand(height, width),
            (2 * (y - y1) / (y2 - y1) - 1).unsqueeze(1).expand(height, width),
        ],
        dim=2,
    )
    values: Tensor = torch.nn.functional.grid_sample(
        mask[None, None], grid[None], padding_mode="border", align_corners=False
    )[0, 0]
    inside: Tensor = ((y + 0.5 >= y1) & (y + 0.5 < y2)).unsqueeze(1) & (x + 0.5 >= x1) & (x + 0.5 < x2)
    return values * inside


def iou(first: Tensor, second: Tensor) -> float:
    return float((first & second).sum() / (first | second).sum())


def centre(mask: Tensor) -> Tensor:
    return mask.nonzero().double().mean(dim=0)


def join_every_pair(instances: Sequence[Instance], threshold: float) -> list[Instance]:
    """Compare every instance with every other: slow, and obvious."""
    group = list(range(len(instances)))
    for index, first in enumerate(instances):
        for other, second in enumerate(instances[:index]):
            if first.label == second.label and first.seen != second.seen and overlap(first, second) >= threshold:
                old, new = group[index], group[other]
                group = [new if one == old else one for one in group]
    members = [[one for one, own in zip(instances, group, strict=True) if own == name] for name in dict.fromkeys(group)]
    return sorted((unite(same) for same in members), key=lambda one: -one.score)


def drawn(generator: np.random.Generator, count: int) -> list[Instance]:
    """Draw detections on overlapping tiles: rectangles and noise, scores that tie, two labels."""
    found = []
    for _ in range(count):
        top, left = (int(20 * step) for step in generator.integers(0, 4, 2))
        seen = Region(top, left, top + 40, left + 40)
        y, x = (int(start + shift) for start, shift in zip((top, left), generator.integers(0, 30, 2), strict=True))
        height, width = generator.integers(1, 11, 2).tolist()
        mask = generator.random((height, width)) < 0.8
        mask[0, 0] = mask[-1, -1] = mask[0, -1] = mask[-1, 0] = True
        region = Region(y, x, y + height, x + width)
        box = (float(x), float(y), float(x + width), float(y + height))
        score = float(generator.choice([0.25, 0.5, 0.75]))
        found.append(Instance(box, int(generator.integers(1, 3)), score, region, mask, seen))
    return found


@pytest.mark.parametrize("threshold", [0.01, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(12))
def test_joining_by_neighbourhood_joins_what_comparing_every_pair_joins(seed: int, threshold: float) -> None:
    generator = np.random.default_rng(seed)
    instances = drawn(generator, int(generator.integers(0, 120)))
    found, wanted = join_instances(instances, threshold), join_every_pair(instances, threshold)
    assert len(found) == len(wanted)
    assert all(same(one, other) for one, other in zip(found, wanted, strict=True))


def test_too_many_instances_are_cut_to_the_surest_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(joining, "_warned", set())
    row = torch.zeros(6, 30, 30, dtype=torch.bool)
    for index in range(6):
        row[index, 5 * index : 5 * index + 3, 4:9] = True
    part = detections(row, [0.1, 0.9, 0.5, 0.8, 0.5, 0.2])
    for _ in range(2):
        kept = merge_tiles([part], [(0, 0)], (30, 30), limit=3)
        assert [one.score for one in kept] == pytest.approx([0.9, 0.8, 0.5])
        assert kept[2].region == part[2].region  # of equals the first
    assert capsys.readouterr().err.count("Of more than 3 instances") == 1
    assert len(merge_tiles([part], [(0, 0)], (30, 30), limit=6)) == 6
    assert not capsys.readouterr().err
