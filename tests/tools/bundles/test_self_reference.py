"""The runner judges images by themselves as the model does."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from models.self_reference import SelfReference
from tools.bundles.composing import composition_of
from tools.runner.self_reference import judge_alone


@pytest.mark.parametrize("size", [(64, 64), (70, 53)])
@pytest.mark.parametrize(("channels", "step"), [(1, 2), (3, 1)])
def test_scores_and_maps_are_those_of_the_model(size: tuple[int, int], channels: Literal[1, 3], step: int) -> None:
    module = SelfReference(patch_size=5, block_size=12, step=step, channels=channels, top_share=0.01)
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    image[1, :, 20:24, 30:34] = 1
    wanted = module.model(image)
    found = judge_alone(composition_of(module, size), image.numpy())
    np.testing.assert_allclose(found.score_B, wanted.pred_score.numpy(), rtol=1e-5)
    np.testing.assert_allclose(found.map_BHW, wanted.anomaly_map.numpy(), rtol=1e-4, atol=1e-5)
    assert found.map_BHW.dtype == np.float32
