"""PatchCore's ways to score an image by its patches, and copies of good images for parts at all angles."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from models.components.copies import COPIES
from models.components.padding import marked
from models.components.patchcore_model import TOP
from models.patchcore import PatchCore
from tests.models.drawn import LOUPE, batch, pictures


@torch.no_grad()
def fitted(**arguments: Any) -> PatchCore:
    torch.manual_seed(0)
    module = PatchCore(LOUPE, 0.5, **arguments).eval()
    module.collect_batch(batch(pictures(4)))
    module.fit()
    return module


@torch.no_grad()
def scores(module: PatchCore, image_B3HW: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = module.model(image_B3HW).pred_score
    return found


@pytest.mark.parametrize("scales", [(1,), (1, 2)])
def test_the_mean_of_the_ten_worst_patches(scales: tuple[float, ...]) -> None:
    module, image = fitted(num_neighbors=1, score="top_mean", scales=scales), pictures(3, seed=5)
    expected = []
    for grid_BDhw in module.model.embed_sizes(image):
        far_BP = torch.cdist(grid_BDhw.flatten(2).transpose(1, 2), module.model.bank_MD).amin(dim=2)
        expected.append(far_BP.topk(10, dim=1).values.mean(dim=1))
    torch.testing.assert_close(scores(module, image), torch.stack(expected).mean(dim=0), atol=1e-3, rtol=1e-3)


def test_every_patch_is_weighed_by_its_own_neighbourhood() -> None:
    image = pictures(3, seed=5)
    weighed, plain = (scores(fitted(num_neighbors=count, score="top_mean"), image) for count in (9, 1))
    assert ((weighed < plain) & (weighed > 0.5 * plain)).all()
    by_worst = scores(fitted(), image)
    assert not torch.allclose(by_worst, weighed, rtol=1e-3)
    assert torch.equal(by_worst, scores(fitted(score="max"), image))


@pytest.mark.parametrize("score", ["max", "top_mean"])
@pytest.mark.parametrize("neighbors", [1, 9])
def test_smaller_banks_score_as_the_whole_one_does(score: str, neighbors: int) -> None:
    module, image = fitted(num_neighbors=neighbors, score=score), pictures(3, seed=5)
    assert len(module.bank_sizes()) > 1
    torch.testing.assert_close(module.scores_by_bank(image)[:, -1], scores(module, image), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("score", ["max", "top_mean"])
def test_padding_is_none_of_the_worst(score: str) -> None:
    module = fitted(score=score)
    module.use_padding()
    narrow = torch.zeros(2, 64, 64, dtype=torch.bool)
    narrow[:, 24:40, 24:32] = True  # two patches of stride 8, fewer than ten
    filled = [marked(pictures(2, 5).masked_fill(~narrow.unsqueeze(1), value), narrow) for value in (0.0, 1.0)]
    assert torch.equal(scores(module, filled[0]), scores(module, filled[1]))
    assert (scores(module, filled[0]) > 0).all()
    assert TOP > 2
    torch.testing.assert_close(module.scores_by_bank(filled[0])[:, -1], scores(module, filled[0]), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("copies", ["flips", "turns"])
def test_copies_are_learnt_with_their_image(copies: Any) -> None:
    torch.manual_seed(0)
    module = PatchCore(LOUPE, 1.0, num_neighbors=1, copies=copies).eval()
    image = pictures(3)
    with torch.no_grad():
        module.collect_batch(batch(image))
        module.fit()
    assert len(module.model.bank_MD) == 4 * 3 * 64
    assert module.model.image_M.bincount().tolist() == [4 * 64] * 3
    for copied in COPIES[copies]:
        assert float(scores(module, copied(image)).max()) < 0.05
    with torch.no_grad():
        module.forget(["/1.png"], lambda _: torch.empty(0))
    assert module.model.image_M.bincount().tolist() == [4 * 64] * 2
    alone = PatchCore(LOUPE, 1.0, num_neighbors=1).eval()
    with torch.no_grad():
        alone.collect_batch(batch(image))
        alone.fit()
    assert float(scores(alone, COPIES[copies][0](image)).min()) > 0.05


def test_copies_of_an_image_are_all_that_is_asked_for() -> None:
    image = torch.arange(12.0).view(1, 1, 3, 4)
    for copies in ("flips", "turns"):
        made = [image, *(copied(image) for copied in COPIES[copies])]
        assert all(one.flatten().sort().values.equal(image.flatten()) for one in made)
        assert len({tuple(one.flatten().tolist()) for one in made}) == 4
    assert not COPIES["none"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"score": "mean"}, r"model\.score to be one of max, top_mean, but found 'mean'"),
        ({"copies": "all"}, r"model\.copies to be one of none, flips, turns, but found 'all'"),
    ],
)
def test_a_value_that_is_no_choice_is_named(arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        PatchCore(LOUPE, **arguments)
