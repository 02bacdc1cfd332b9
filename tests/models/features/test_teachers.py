"""What several teachers, or several views of an image, teach together."""

from __future__ import annotations

import pytest
import torch

from models.features.backbones import Backbone
from models.features.decorrelation import Decorrelation
from models.features.teachers import Teachers


@pytest.fixture(scope="module")
def teacher() -> Backbone:
    torch.manual_seed(0)
    return Backbone("resnet18", [1, 2, 3], [0.5] * 3, [0.5] * 3, "none")


IMAGE = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_one_teacher_is_asked_as_it_is(teacher: Backbone) -> None:
    asked = Teachers([teacher])
    assert all(map(torch.equal, asked(IMAGE), teacher(IMAGE)))
    assert asked.networks() == []


@torch.inference_mode()
def test_enlarged_images_add_the_next_level_as_fine_as_the_one_before(teacher: Backbone) -> None:
    asked = Teachers([teacher], enlarged=True)
    fine, middle, coarse = asked(IMAGE)
    larger = torch.nn.functional.interpolate(IMAGE, scale_factor=2, mode="bilinear")
    own, finer = teacher(IMAGE), teacher(larger)
    assert torch.equal(fine, torch.cat([own[0], finer[1]], dim=1))
    assert torch.equal(middle, torch.cat([own[1], finer[2]], dim=1))
    assert torch.equal(coarse, own[2])
    assert asked.networks() == [[64, 128], [128, 256], [256]]


@torch.inference_mode()
def test_the_enlarged_image_may_be_all_that_is_seen(teacher: Backbone) -> None:
    asked = Teachers([teacher], enlarged="only")
    larger = torch.nn.functional.interpolate(IMAGE, scale_factor=2, mode="bilinear")
    assert all(map(torch.equal, asked(IMAGE), teacher(larger)))
    assert asked.networks() == []


@torch.inference_mode()
def test_views_of_several_teachers_lie_one_upon_the_other(teacher: Backbone) -> None:
    other = Backbone("resnet18", [1, 2, 3], [0.5] * 3, [0.5] * 3, "none", mirrored=True)
    asked = Teachers([teacher, other], enlarged=True)
    maps, channels = asked(IMAGE), asked.networks()
    assert channels == [[64, 64, 128, 128], [128, 128, 256, 256], [256, 256]]
    assert [one.shape[1] for one in maps] == [sum(level) for level in channels]
    for level, parts in zip(maps, channels, strict=True):
        basis = Decorrelation(sum(parts))
        points = level.permute(0, 2, 3, 1).flatten(0, 2)
        basis.fit(points, 0.0, parts)
        scaled = (points * basis.gain).var(dim=0, correction=0)
        for part in torch.split(scaled, parts):
            assert float(part.sum()) == pytest.approx(1, rel=1e-3)
