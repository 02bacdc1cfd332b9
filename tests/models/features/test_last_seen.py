from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import torch

from models.features.backbones import Backbone
from models.features.last_seen import LastSeen
from models.patchcore import PatchCore
from tests.models.drawn import LOUPE

if TYPE_CHECKING:
    import pytest
    from torch import Tensor


class Counter:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


def test_the_same_tensor_is_computed_once() -> None:
    last, count, image = LastSeen[int](), Counter(), torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert [last(image, count) for _ in range(3)] == [1, 1, 1]
        assert last(image.clone(), count) == 2
        assert last(image, count) == 3  # only the last one is remembered
        image.add_(1)
        assert last(image, count) == 4
        assert last(image, count) == 4


def test_where_gradients_are_wanted_every_call_counts() -> None:
    last, count, image = LastSeen[int](), Counter(), torch.rand(1, 3, 8, 8)
    assert [last(image, count) for _ in range(2)] == [1, 2]


def test_tensors_of_inference_mode_are_known_by_themselves() -> None:
    last, count = LastSeen[int](), Counter()
    with torch.inference_mode():
        image = torch.rand(1, 3, 8, 8)
        assert [last(image, count), last(image, count), last(image + 0, count)] == [1, 1, 2]


def test_a_copy_starts_afresh() -> None:
    last, count, image = LastSeen[int](), Counter(), torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        last(image, count)
        assert deepcopy(last)(image, count) == 2


def test_predictions_and_embeddings_share_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[Tensor] = []
    module = PatchCore(LOUPE, 0.5).eval()
    compute = Backbone._features

    def counted(self: Backbone, image_B3HW: Tensor) -> list[Tensor]:
        passes.append(image_B3HW)
        return compute(self, image_B3HW)

    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        module.collect(torch.rand(2, 3, 64, 64))
        module.fit()
        alone = module.embed_whole(image.clone())
        monkeypatch.setattr(Backbone, "_features", counted)
        module.predict(image)
        shared = [module.embed_whole(image) for _ in range(2)]
    assert len(passes) == 1
    assert alone is not None
    assert all(one is not None and torch.equal(one, alone) for one in shared)
