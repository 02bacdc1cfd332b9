"""A scan of any size through two networks: as if judged whole, in bounded memory, with inclusions painted over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from models.components.inpainting import Image, inpaint
from models.components.micrograph import Stage, analyse, scan_logits
from models.components.scan_tiles import ScanTiles

if TYPE_CHECKING:
    from torch import Tensor

TILES = ScanTiles(size=64, overlap=0.25, batch=3)


def scan(height: int, width: int) -> Image:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)


def blurred(image_K3HW: Tensor) -> Tensor:
    """Judge by the mean of 5 x 5 pixels, reflected at borders: all that it sees lies within the rim of a tile."""
    grey = image_K3HW.mean(dim=1, keepdim=True)
    return nn.functional.avg_pool2d(nn.functional.pad(grey, (2, 2, 2, 2), "reflect"), 5, 1)[:, 0]


@pytest.mark.parametrize("shape", [(64, 64), (65, 300), (201, 137), (33, 90), (500, 40)])
def test_tiles_give_what_the_whole_gives(shape: tuple[int, int]) -> None:
    image = scan(*shape)
    whole = blurred(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)[0]
    found = scan_logits(image, Stage(blurred, 0.0), TILES)
    assert found.shape == shape
    np.testing.assert_allclose(found, whole.numpy(), atol=1e-6)


@pytest.mark.parametrize("shape", [(40, 50), (64, 64), (1, 1), (97, 203)])
def test_networks_get_the_sides_they_ask_for(shape: tuple[int, int]) -> None:
    seen: list[tuple[int, ...]] = []

    def strict(image_K3HW: Tensor) -> Tensor:
        seen.append(tuple(image_K3HW.shape))
        return image_K3HW[:, 0]

    image = scan(*shape)
    found = scan_logits(image, Stage(strict, 0.0, multiple=16), TILES)
    np.testing.assert_allclose(found, image[..., 0] / 255, atol=1e-6)
    assert seen
    assert all(side % 16 == 0 for sides in seen for side in sides[2:])
    assert all(sides[0] <= TILES.batch for sides in seen)


def test_the_second_network_sees_no_inclusions() -> None:
    image = np.full((90, 130, 3), 200, np.uint8)
    image[30:40, 50:70] = 20
    dark = Stage(lambda image_K3HW: 1 - image_K3HW[:, 0], 0.5)
    found = analyse(image, dark, dark, tiles=TILES)
    assert found.inclusion_HW.sum() == 200
    assert found.inclusion_HW[30:40, 50:70].all()
    assert not found.boundary_HW.any()
    np.testing.assert_array_equal(found.inpainted_HW3, inpaint(image, found.inclusion_HW))
    np.testing.assert_allclose(found.boundary_logit_HW, 1 - 200 / 255, atol=0.01)


def test_each_network_has_an_enhancement_of_its_own() -> None:
    image = scan(50, 60)
    first = Stage(lambda tiles: tiles[:, 0], 2.0, enhance=lambda values: 255 - values)
    second = Stage(lambda tiles: tiles[:, 0], 2.0)
    found = analyse(image, first, second, tiles=TILES)
    np.testing.assert_allclose(found.inclusion_logit_HW, 1 - image[..., 0] / 255, atol=1e-6)
    np.testing.assert_allclose(found.boundary_logit_HW, image[..., 0] / 255, atol=1e-6)
