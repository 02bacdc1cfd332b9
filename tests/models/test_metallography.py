"""The metallographic chain as a model: of networks whose answers are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import torch
from anomalib.data import InferenceBatch
from torch import nn

from datamodules.enhancing.enhancement import Enhancement, read_enhancement
from models.components.inpainting import inpaint
from models.components.painting import from_bytes, to_bytes
from models.metallography import Metallography, MetallographyModel
from models.unet import Unet
from tools.bundles.composing import composition_of
from tools.runner.chain import judge_chain
from tools.runner.result import Prediction

if TYPE_CHECKING:
    from torch import Tensor

Marks = Literal["boundary", "inclusion"]


class Dark(nn.Module):
    """Marks what is dark, and refuses sides that are not multiples of 16."""

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        assert all(side % 16 == 0 for side in image_B3HW.shape[2:])
        map_BHW = 1 - image_B3HW.mean(dim=1)
        return InferenceBatch(pred_score=map_BHW.amax(dim=(1, 2)), anomaly_map=map_BHW)


def model(marks: Marks, enhance: list[Any] | None = None, tile: int = 64) -> MetallographyModel:
    enhancements = Enhancement(), read_enhancement(enhance or [])
    return MetallographyModel(Dark(), Dark(), 0.7, "navier_stokes", enhancements, (16, 16), marks, tile, 0.01)


def scans(height: int, width: int) -> Tensor:
    """Two grey images with a black spot each."""
    image = torch.full((2, 3, height, width), 150 / 255)
    image[0, :, 20:30, 10:18] = image[1, :, 3:9, 30:37] = 10 / 255
    return image


@pytest.mark.parametrize("size", [(64, 64), (50, 40), (130, 203)])
def test_inclusions_are_marked_and_then_gone(size: tuple[int, int]) -> None:
    image = scans(*size)
    marked = model("inclusion")(image)
    assert marked.anomaly_map is not None
    torch.testing.assert_close(marked.anomaly_map, 1 - image.mean(dim=1))
    over = model("boundary")(image)
    assert over.anomaly_map is not None
    assert over.anomaly_map.shape == (2, *size)
    spot = marked.anomaly_map >= 0.7
    byte = to_bytes(image.numpy())
    wanted = from_bytes([inpaint(one, mask.numpy()) for one, mask in zip(byte, spot, strict=True)])
    np.testing.assert_allclose(over.anomaly_map.numpy(), 1 - wanted.mean(axis=1), atol=1e-6)
    assert float(over.anomaly_map[spot].max()) < 0.5


def test_the_second_network_has_an_enhancement_of_its_own() -> None:
    image = scans(64, 64)
    plain, brighter = model("boundary")(image), model("boundary", [{"name": "gamma", "gamma": 2.0}])(image)
    assert plain.anomaly_map is not None
    assert brighter.anomaly_map is not None
    assert float((plain.anomaly_map - brighter.anomaly_map).min()) > 0.1


@pytest.mark.parametrize("marks", ["boundary", "inclusion"])
@pytest.mark.parametrize("size", [(64, 64), (50, 40), (130, 203)])
def test_the_runner_judges_alike(marks: Marks, size: tuple[int, int]) -> None:
    parts = [Unet(width=4, depth=2) for _ in range(2)]
    module = Metallography(parts[0], parts[1], 0.0, marks=marks, tile=64).eval()
    for index, network in enumerate((module.model.inclusions, module.model.boundaries)):
        nn.init.constant_(list(network.parameters())[-1], 0.01 * index)
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    image = (image * 255).round() / 255

    def graph(network: nn.Module) -> Any:
        def judge(tiles: Any) -> Prediction:
            found = network(torch.from_numpy(tiles))
            return Prediction(found.pred_score.numpy(), found.anomaly_map.numpy())

        return judge

    with torch.inference_mode():
        wanted = module.model(image)
        networks = graph(module.model.inclusions), graph(module.model.boundaries)
        found = judge_chain(composition_of(module, size), *networks, image.numpy())
    np.testing.assert_allclose(found.map_BHW, wanted.anomaly_map.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.score_B, wanted.pred_score.numpy(), rtol=1e-4, atol=1e-5)


def test_values_out_of_range_are_refused() -> None:
    first, second = Unet(width=4, depth=2), Unet(width=4, depth=2)
    for threshold in (None, float("nan"), float("-inf")):
        with pytest.raises(ValueError, match=r"Expected model\.inclusion_threshold to be a finite number"):
            Metallography(first, second, threshold)
    with pytest.raises(ValueError, match=r"Expected model\.tile to be at least 64"):
        Metallography(first, second, 0.0, tile=32)
