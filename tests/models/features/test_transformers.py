"""Vision transformers as backbones: weights from a file, images in multiples of their patches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch

from models.features.backbones import Backbone
from models.features.joined_backbone import side_multiple
from tools.configuring.config import compose_config
from tools.errors import ConfigError
from tools.runs.checkpoint import build_module
from tools.runs.training import check_size

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2")
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.mark.parametrize("name", NAMES)
def test_maps_from_a_file_are_those_of_the_whole_network(name: str, tmp_path: Path) -> None:
    """With registers and without, at another size than the one that positions were learnt at, and not square."""
    torch.manual_seed(0)
    whole: Any = timm.create_model(name, pretrained=False, depth=3, dynamic_img_size=True).eval()
    torch.save(whole.state_dict(), tmp_path / "weights.pth")
    options = {"dynamic_img_size": True, "depth": 3}
    backbone = Backbone(name, [0, 1], MEAN, STD, str(tmp_path / "weights.pth"), options)
    image_B3HW = torch.rand(2, 3, 56, 84)
    with torch.no_grad():
        found = backbone(image_B3HW)
        expected = whole.forward_intermediates(
            backbone.normalize(image_B3HW), indices=[0, 1], norm=False, intermediates_only=True
        )
    assert [tuple(one.shape) for one in found] == [(2, 384, 4, 6)] * 2
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert side_multiple(backbone) == 14


def test_networks_of_convolutions_take_any_side() -> None:
    assert side_multiple(Backbone("loupe_net", [2, 3], [0.5] * 3, [0.5] * 3, "bundled")) == 1


@pytest.mark.parametrize("model", ["patchcore", "padim", "dfm"])
def test_sides_that_would_cut_a_patch_are_refused_with_the_nearest_that_would_not(model: str) -> None:
    overrides = ["data=synthetic", f"model={model}", "backbone=dinov2_small", "backbone.weights=none"]
    config = compose_config("train", [*overrides, "backbone.layers=[0,1]"])
    module = build_module(config)
    with pytest.raises(ConfigError, match=r"multiples of 14 for this model.*set data\.image_size=\[252,252\]"):
        check_size(module, _Sized((256, 256)))  # type: ignore[arg-type]  # only its size is asked for
    check_size(module, _Sized((252, 252)))  # type: ignore[arg-type]  # as above


class _Sized:
    """What has a size of images."""

    def __init__(self, image_size: tuple[int, int]) -> None:
        self.image_size = image_size
