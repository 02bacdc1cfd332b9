"""The runner puts tiles together as the model itself does: scores, maps and instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from anomalib.data import InferenceBatch
from torch.nn import functional as F

from models.components.tiled import Tiling
from tests.found import as_instances
from tools.runner.result import Prediction
from tools.runner.tiles import judge_tiles, shrunk

if TYPE_CHECKING:
    from datamodules.samples.detections import Detections


def look(image_B3HW: torch.Tensor) -> tuple[InferenceBatch, list[Detections] | None]:
    """Judge tiles by what differs towards their rim, so that every weight counts; bright halves are instances."""
    ramp_S = torch.linspace(0, 1, image_B3HW.shape[-1])
    map_BHW = image_B3HW.mean(dim=1) + ramp_S
    found = []
    for image_HW in image_B3HW[:, 0]:
        masks = torch.stack([image_HW > 0.8, image_HW > 2, (image_HW > 0.8).roll(3, 0)])
        boxes = torch.tensor([[0.0, 1.0, 9.0, 20.5], [3.0, 3.0, 4.0, 4.0], [5.0, 0.0, 11.0, 30.0]])
        scores = torch.stack([image_HW.max(), image_HW.mean(), image_HW.min()])
        found.append(
            as_instances({"boxes": boxes, "labels": torch.tensor([1, 1, 2]), "scores": scores, "masks": masks})
        )
    return InferenceBatch(pred_score=map_BHW.flatten(1).amax(dim=1), anomaly_map=map_BHW), found


def as_runner(image_B3HW: np.ndarray) -> Prediction:
    prediction, found = look(torch.from_numpy(image_B3HW))
    assert prediction.pred_score is not None
    assert prediction.anomaly_map is not None
    maps = prediction.anomaly_map.numpy()
    return Prediction(prediction.pred_score.numpy(), maps, found)


@pytest.mark.parametrize("size", [(32, 32), (20, 50), (33, 71), (90, 100)])
@pytest.mark.parametrize(
    "tiling", [Tiling(size=32), Tiling(size=32, overlap=0.5, margin=3, batch=3, merge_overlap=0.2)]
)
def test_tiles_are_put_together_as_the_model_does(size: tuple[int, int], tiling: Tiling) -> None:
    image = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(0))
    image[:, :, : size[0] // 3] *= 1.2
    wanted, detections = tiling.judge(look, image)
    found = judge_tiles(tiling.to_plain(size), as_runner, image.numpy())
    assert wanted.pred_score is not None
    assert wanted.anomaly_map is not None
    assert detections is not None
    assert found.detections is not None
    np.testing.assert_array_equal(found.score_B, wanted.pred_score.numpy())
    np.testing.assert_allclose(found.map_BHW, wanted.anomaly_map.numpy(), rtol=1e-5)
    for entries, expected in zip(found.detections, detections, strict=True):
        assert len(entries) == len(expected) > 0
        for entry, other in zip(entries, expected, strict=True):
            assert entry.label == other.label
            assert (*entry.box, entry.score) == pytest.approx((*other.box, other.score))
            assert entry.region == other.region
            np.testing.assert_array_equal(entry.mask, other.mask)


@pytest.mark.parametrize("size", [(64, 64), (100, 70), (33, 257), (20, 50), (32, 32)])
def test_whole_images_shrink_to_a_tile_as_torch_does_it(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    wanted = F.interpolate(image, (32, 32), mode="bilinear", antialias=True)
    np.testing.assert_allclose(shrunk(image.numpy(), 32), wanted.numpy(), atol=2e-6)


def test_the_embedding_of_a_tiled_image_is_that_of_the_whole() -> None:
    def describe(image_B3HW: np.ndarray) -> Prediction:
        return as_runner(image_B3HW)._replace(embedding_BD=image_B3HW.mean(axis=(2, 3)))

    image = np.random.default_rng(0).random((2, 3, 70, 90), dtype=np.float32)
    found = judge_tiles(Tiling(size=32).to_plain((70, 90)), describe, image)
    assert found.embedding_BD is not None
    np.testing.assert_allclose(found.embedding_BD, shrunk(image, 32).mean(axis=(2, 3)))


def test_pictures_that_no_tile_finds_anything_on_have_no_detections() -> None:
    def nothing(image_B3HW: np.ndarray) -> Prediction:
        return Prediction(image_B3HW.mean(axis=(1, 2, 3)), image_B3HW.mean(axis=1), [[] for _ in image_B3HW])

    image = np.random.default_rng(0).random((2, 3, 40, 40), dtype=np.float32)
    assert judge_tiles(Tiling(size=32).to_plain((40, 40)), nothing, image).detections == [[], []]
    assert (
        judge_tiles(Tiling(size=32).to_plain((40, 40)), lambda x: nothing(x)._replace(detections=None), image)[2]
        is None
    )
