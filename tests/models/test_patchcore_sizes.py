"""PatchCore that looks at images in several sizes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from models.components.padding import marked
from models.components.sizes import resized
from models.components.tiled import Tiling
from models.patchcore import PatchCore

from .test_patchcore import ARGUMENTS, assert_the_same_alone, batch, pictures, predict


def fitted(scales: tuple[float, ...] = (1, 1.5), num_neighbors: int = 9, exact: bool = False) -> PatchCore:
    torch.manual_seed(3)
    memory = "200KiB" if exact else None
    module = PatchCore(ARGUMENTS, 0.25, num_neighbors, memory=memory, exact=exact, scales=scales).eval()
    module.batches = 2
    torch.manual_seed(0)
    for seed in (0, 1):
        module.training_step(batch(pictures(4, seed)), seed)
    module.on_validation_start()
    return module


def test_sizes_are_multiples_of_sixteen() -> None:
    image = pictures(2, size=(96, 64))
    assert resized(image, 1) is image
    assert resized(image, 1.5).shape == (2, 3, 144, 96)
    assert resized(image, 0.6).shape == (2, 3, 64, 32)
    assert resized(image, 0.01).shape == (2, 3, 16, 16)


@pytest.mark.parametrize("num_neighbors", [1, 9])
def test_scores_and_maps_are_means_over_the_sizes(num_neighbors: int) -> None:
    module, image = fitted((0.5, 1, 1.5), num_neighbors), pictures(3, seed=5)
    one = fitted((1,), num_neighbors)
    one.model.set_bank(module.model.bank_MD)
    score, anomaly_map = predict(module, image)
    alone = [predict(one, resized(image, scale)) for scale in module.model.scales]
    torch.testing.assert_close(score, torch.stack([score for score, _ in alone]).mean(dim=0), atol=1e-4, rtol=0)
    maps = []
    for scale in module.model.scales:
        patch_BDhw = one.model.embed(resized(image, scale))
        far_BP = torch.cdist(patch_BDhw.flatten(2).transpose(1, 2), one.model.bank_MD).amin(dim=2)
        far_B1hw = far_BP.view(3, 1, *patch_BDhw.shape[2:])
        maps.append(one.model.smooth_map.blur(F.interpolate(far_B1hw, (64, 64)).squeeze(1)))
    torch.testing.assert_close(anomaly_map, torch.stack(maps).mean(dim=0), atol=1e-3, rtol=0)


def test_a_full_bank_knows_its_images_in_every_size() -> None:
    torch.manual_seed(0)
    module = PatchCore(ARGUMENTS, 1.0, scales=(1, 1.5)).eval()
    module.training_step(batch(pictures(4)), 0)
    module.on_validation_start()
    assert len(module.model.bank_MD) == 4 * (64 + 144)
    bad = pictures(4)
    bad[:, :, 40:52, 8:20] = torch.tensor([1.0, 0.0, 1.0]).view(3, 1, 1)
    assert float(predict(module, pictures(4))[0].max()) < 0.05 * float(predict(module, bad)[0].min())


def test_an_image_scores_the_same_alone_and_among_others() -> None:
    assert_the_same_alone(fitted(), pictures(4, seed=5))


@pytest.mark.parametrize("num_neighbors", [1, 9])
@pytest.mark.parametrize("scales", [(1,), (1, 1.5)])
@torch.inference_mode()
def test_smaller_banks_score_as_if_they_were_the_whole(scales: tuple[float, ...], num_neighbors: int) -> None:
    module, image = fitted(scales, num_neighbors), pictures(3, seed=7)
    sizes, score_BS = module.bank_sizes(), module.scores_by_bank(image)
    assert sizes[-1] == len(module.model.bank_MD)
    assert len(sizes) >= 2
    whole_MD = module.model.bank_MD
    for size, score_B in zip(reversed(sizes), score_BS.flip(1).T, strict=True):
        module.model.set_bank(whole_MD[:size].clone())
        torch.testing.assert_close(predict(module, image)[0], score_B, atol=1e-4, rtol=1e-5)


def test_a_smaller_bank_is_what_the_larger_one_begins_with() -> None:
    large, small = (fitted_to(size) for size in (96, 48))
    assert torch.equal(large.model.bank_MD[:48], small.model.bank_MD)


@torch.inference_mode()
def test_padding_counts_in_no_bank() -> None:
    module, image = fitted(), pictures(2, seed=7)
    module.use_padding()
    inside_BHW = torch.ones(2, 64, 64, dtype=torch.bool)
    inside_BHW[:, 48:] = False
    scores = [
        module.scores_by_bank(marked(image.masked_fill(~inside_BHW.unsqueeze(1), fill), inside_BHW)) for fill in (0, 1)
    ]
    assert torch.equal(*scores)


@torch.inference_mode()
def test_measures_ask_the_backbone_for_nothing_again() -> None:
    module, image = fitted(), pictures(2, seed=7)
    seen: list[tuple[int, ...]] = []
    module.model.backbone.network.register_forward_hook(lambda _network, given, _found: seen.append(given[0].shape))
    module.model(image)
    module.scores_by_bank(image)
    module.embedding(image)
    assert [shape[-1] for shape in seen] == [64, 96]


def test_each_bank_is_timed_and_tiles_have_no_curve() -> None:
    module = fitted()
    spent = module.search_milliseconds(pictures(2))
    assert len(spent) == len(module.bank_sizes())
    assert min(spent) > 0
    module.tiling = Tiling(size=32)
    assert module.bank_sizes() == []


def fitted_to(bank_size: int) -> PatchCore:
    torch.manual_seed(3)
    module = PatchCore(ARGUMENTS, bank_size=bank_size).eval()
    torch.manual_seed(0)
    module.training_step(batch(pictures(4)), 0)
    module.on_validation_start()
    return module


def test_patches_of_all_sizes_are_of_their_image() -> None:
    module = fitted()
    assert module.learnt == [f"/{index}.png" for index in range(4)] * 2
    patch_IPD = torch.cat([module.describe(pictures(4, seed))[0] for seed in (0, 1)]).view(8, 64 + 144, -1)
    for row_D, image in zip(module.model.bank_MD, module.model.image_M.tolist(), strict=True):
        assert float((patch_IPD[image] - row_D).norm(dim=1).min()) < 1e-4


def test_on_the_disk_the_bank_is_the_same() -> None:
    assert torch.equal(fitted(exact=True).model.bank_MD, fitted().model.bank_MD)


@pytest.mark.parametrize("scales", [(), (0,), (1, 1), (-1,), (17,), (float("nan"),)])
def test_sizes_that_cannot_be_are_refused(scales: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"model\.scales to be different factors above 0"):
        PatchCore(ARGUMENTS, scales=scales)
