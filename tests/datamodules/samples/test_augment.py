"""Augmentation: everything with a place moves along with its image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from torchvision.transforms import v2

from datamodules.errors import DataError
from datamodules.files.fitting import Part
from datamodules.samples.augment import augment, frame_around
from datamodules.samples.batch import Sample
from datamodules.synthetic.datamodule import SyntheticDataModule

if TYPE_CHECKING:
    from pathlib import Path


def sample() -> Sample:
    """An image whose red is its own mask, with zones and two instances."""
    mask = torch.zeros(12, 16, dtype=torch.bool)
    mask[2:5, 3:9] = True
    other = torch.zeros(12, 16, dtype=torch.bool)
    other[8:11, 12:15] = True
    image = torch.stack([(mask | other).float(), torch.rand(12, 16), torch.rand(12, 16)])
    return Sample(
        image=image,
        name="a",
        image_path="/a",
        label_index=1,
        mask=mask | other,
        zones=(mask | other).to(torch.uint8) * 3,
        target={
            "boxes": torch.tensor([[3.0, 2.0, 9.0, 5.0], [12.0, 8.0, 15.0, 11.0]]),
            "labels": torch.tensor([1, 2]),
            "masks": torch.stack([mask, other]).to(torch.uint8),
        },
    )


@pytest.mark.parametrize(
    "transform",
    [
        v2.Identity(),
        v2.RandomHorizontalFlip(p=1.0),
        v2.RandomVerticalFlip(p=1.0),
        v2.RandomAffine(degrees=0, translate=(0.2, 0.2)),
        v2.Compose([v2.RandomHorizontalFlip(p=1.0), v2.RandomRotation((180, 180))]),
    ],
)
def test_everything_moves_together(transform: v2.Transform) -> None:
    torch.manual_seed(3)
    moved = augment(sample(), transform)
    assert moved.mask is not None
    assert moved.zones is not None
    assert moved.target is not None
    assert torch.equal(moved.image[0] > 0.5, moved.mask)
    assert torch.equal(moved.zones == 3, moved.mask)
    assert torch.equal(moved.target["masks"].bool().any(dim=0), moved.mask)
    for box, mask in zip(moved.target["boxes"].long().tolist(), moved.target["masks"].bool(), strict=True):
        x1, y1, x2, y2 = box
        assert mask[y1:y2, x1:x2].sum() == mask.sum()
        assert all(edge.any() for edge in (mask[y1], mask[y2 - 1], mask[:, x1], mask[:, x2 - 1]))


def test_identity_changes_nothing() -> None:
    before = sample()
    after = augment(before, v2.Identity())
    assert torch.equal(after.image, before.image)
    assert before.target is not None
    assert after.target is not None
    assert all(torch.equal(after.target[key], before.target[key]) for key in before.target)


def test_instances_that_left_the_picture_are_dropped() -> None:
    target = sample().target
    assert target is not None
    gone = target | {"masks": torch.stack([target["masks"][0], torch.zeros(12, 16, dtype=torch.uint8)])}
    moved = augment(replace(sample(), target=gone), v2.Identity())
    assert moved.target is not None
    assert moved.target["labels"].tolist() == [1]
    assert len(moved.target["boxes"]) == 1


def test_negatives_stay_negatives() -> None:
    empty = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, 12, 16, dtype=torch.uint8),
    }
    moved = augment(replace(sample(), target=empty, mask=None, zones=None), v2.RandomHorizontalFlip(p=1.0))
    assert moved.target is not None
    assert moved.target["boxes"].shape == (0, 4)
    assert moved.target["masks"].shape == (0, 12, 16)
    assert moved.mask is None


def test_light_changes_the_picture_alone_and_stays_in_range() -> None:
    torch.manual_seed(0)
    moved = augment(sample(), v2.ColorJitter(brightness=(3.0, 3.0)))
    assert moved.image.max() <= 1.0
    assert not torch.equal(moved.image, sample().image)
    before = sample().mask
    assert before is not None
    assert moved.mask is not None
    assert torch.equal(moved.mask, before)


def test_another_size_is_refused() -> None:
    with pytest.raises(DataError, match=r"Expected data\.augment to keep the size \(12, 16\), but it made \(6, 6\)"):
        augment(sample(), v2.CenterCrop(6))


def test_only_training_pictures_are_changed(tmp_path: Path) -> None:
    plain, changed = (SyntheticDataModule(root=str(tmp_path), size=64, good=24, defective=6) for _ in range(2))
    changed.augment = (v2.RandomHorizontalFlip(p=1.0),)
    for data in (plain, changed):
        data.num_workers = 0
        data.setup()
    pairs = zip(plain.train_dataloader(), changed.train_dataloader(), strict=True)
    assert all(torch.equal(one.image.flip(-1), two.image) for one, two in pairs)
    pairs = zip(plain.test_dataloader(), changed.test_dataloader(), strict=True)
    assert all(torch.equal(one.image, two.image) for one, two in pairs)


@pytest.mark.parametrize(
    ("transform", "wanted"),
    [
        (v2.RandomHorizontalFlip(p=1), Part(0, 2, 24, 20)),
        (v2.RandomVerticalFlip(p=1), Part(0, 4, 24, 22)),
        (v2.Identity(), Part(0, 4, 24, 22)),
        (v2.RandomAffine(0, translate=None, scale=None, fill=0), Part(0, 4, 24, 22)),
    ],
)
def test_padding_moves_along(transform: v2.Transform, wanted: Part) -> None:
    before = Sample(torch.rand(3, 24, 24), "a.png", "/a.png", 0, frame=Part(0, 4, 24, 22))
    assert augment(before, transform).frame == wanted


def test_what_shows_padding_alone_has_an_empty_frame() -> None:
    assert frame_around(torch.zeros(8, 8, dtype=torch.bool)) == Part(0, 0, 0, 0)
