"""Parts on plain grounds: the ground teaches no model, and counts in no score; a model that cannot do that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from hydra.utils import get_class
from torchvision.transforms import v2

from datamodules.samples.augment import augment
from models.components.padding import cells_inside, grounded, opened, worst
from models.components.tiled import cut
from tests.models.test_contract import DATA, MARKS, NEEDS, compose, fit, look
from tools.configuring.config import compose_config, groups
from tools.errors import ConfigError
from tools.runs.checkpoint import build_module
from tools.runs.training import prepare

if TYPE_CHECKING:
    from pathlib import Path

    from tests.models.test_contract import Fitted

PLAIN = "data.foreground=plain"


def sees_ground(name: str) -> bool:
    """Tell whether a model leaves the ground out."""
    model: Any = get_class(compose_config("train", [f"model={name}"]).model._target_)
    return bool(model.sees_ground)


SEEING = [name for name in groups()["model"] if sees_ground(name)]
QUICK = {"patchcore", "padim", "conv_ae_small"}
MODELS = [
    pytest.param(name, marks=MARKS.get(name, [] if name in QUICK else [pytest.mark.procedure])) for name in SEEING
]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


@pytest.fixture(scope="module", params=MODELS)
def ringed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, drawn: Path) -> Fitted:
    """Every model that leaves the ground out, trained on o-rings."""
    return fit(compose(request.param, drawn, PLAIN, f"out={tmp_path_factory.mktemp('runs')}"))


def test_those_that_see_the_ground_are_the_ones_that_the_error_names() -> None:
    named = ("patchcore", "padim", "dfm", "stfpm", "reverse_distillation", "dinomaly", "efficient_ad", "conv_ae")
    assert set(named) <= set(SEEING)
    assert all(name.startswith(named) for name in SEEING)


def test_images_keep_their_ground_to_be_seen_and_only_the_part_counts(ringed: Fitted) -> None:
    batch, module = ringed.batch, ringed.module
    assert batch.foreground is not None
    assert 0.05 < batch.foreground.float().mean() < 0.8
    shown, inside = opened(module.images_of(batch))
    torch.testing.assert_close(shown, batch.image.as_subclass(torch.Tensor), atol=1e-6, rtol=0)
    assert torch.equal(inside, batch.foreground)


def test_no_score_comes_from_the_ground_and_none_of_it_is_marked(ringed: Fitted) -> None:
    module, batch = ringed.module, ringed.batch
    inside = batch.inside
    assert inside is not None
    score, anomaly_map = look(module, module.images_of(batch))
    assert score.isfinite().all()
    if ringed.config.model._target_.rpartition(".")[2] in {"Padim", "STFPM", "ReverseDistillation", "EfficientAd"}:
        assert torch.equal(score, worst(anomaly_map, inside))
    with torch.inference_mode():
        judged = module.predict_step(batch)
    assert torch.equal(judged.pred_score, score)
    assert not judged.pred_mask[~inside].any()


def test_an_image_all_of_which_counts_is_judged_as_without_marks(ringed: Fitted) -> None:
    module, image = ringed.module, ringed.batch.image.as_subclass(torch.Tensor)
    score, anomaly_map = look(module, image)
    again, map_again = look(module, grounded(image, torch.ones_like(image[:, 0], dtype=torch.bool)))
    assert torch.equal(score, again)
    assert torch.equal(anomaly_map, map_again)


def test_a_bank_holds_nothing_of_the_ground_and_a_defect_there_is_not_seen(tmp_path: Path, drawn: Path) -> None:
    keys = ("model.coreset_ratio=1", "data.size=128", "data.image_size=[128,128]")
    fitted = fit(compose("patchcore", drawn, PLAIN, *keys, f"out={tmp_path}"))
    network: Any = fitted.module.model
    trained = _samples(fitted, "train")
    cells = [int(cells_inside(sample.foreground[None], 16, 16).sum()) for sample in trained]
    assert sorted(network.image_M.bincount().tolist()) == sorted(cells)
    assert sum(cells) < 0.8 * 256 * len(cells)
    image = fitted.batch.image.as_subclass(torch.Tensor)
    corner = image.clone()
    corner[:, :, :4, :4] = 1 - corner[:, :, :4, :4]  # so far from the ring that the network hardly sees it there
    batch = fitted.batch
    assert batch.foreground is not None
    before, _ = look(fitted.module, grounded(image, batch.foreground))
    after, _ = look(fitted.module, grounded(corner, batch.foreground))
    torch.testing.assert_close(after, before, rtol=0.03, atol=0)
    whole, _ = look(fitted.module, image)
    assert (whole > 1.5 * before).all()  # the ground is nothing that the bank knows


def _samples(fitted: Fitted, split: str) -> list[Any]:
    dataset = fitted.datamodule.dataset(fitted.datamodule.split_samples(split))
    return [dataset[index] for index in range(len(dataset))]


def test_tiles_of_nothing_but_ground_score_no_image(tmp_path: Path, drawn: Path) -> None:
    tiles = ("data.size=128", "data.image_size=[128,128]", "tiling=hann", "tiling.size=64")
    fitted = fit(compose("patchcore", drawn, PLAIN, *tiles, f"out={tmp_path}"))
    batch = fitted.batch
    image = batch.image.as_subclass(torch.Tensor)
    only = torch.zeros_like(image[:, 0], dtype=torch.bool)
    only[:, :30, :30] = True
    seen = grounded(image, only)
    score, anomaly_map = look(fitted.module, seen)
    assert anomaly_map.isfinite().all()
    tiling: Any = fitted.module.tiling
    starts = tiling.axis(128).starts
    views = [cut(seen, (top, left), 64) for top in starts for left in starts]
    shown = [tile for tile in views if opened(tile)[1].any()]
    assert 0 < len(shown) < len(views)
    with torch.inference_mode():
        scores = torch.stack([fitted.module.model(tile).pred_score for tile in shown])
    torch.testing.assert_close(score, scores.amax(dim=0))


def test_letterboxed_parts_are_found_within_their_frame(tmp_path: Path, drawn: Path) -> None:
    keys = ("data.image_size=[64,96]", "data.fit=letterbox")
    fitted = fit(compose("patchcore", drawn, PLAIN, *keys, f"out={tmp_path}"))
    batch = fitted.batch
    inside, unpadded = batch.inside, batch.unpadded
    assert inside is not None
    assert unpadded is not None
    assert not (inside & ~unpadded).any()
    assert (unpadded & ~inside).any()
    shown, counted = opened(fitted.module.images_of(batch))
    torch.testing.assert_close(shown, batch.image.as_subclass(torch.Tensor), atol=1e-6, rtol=0)
    assert torch.equal(counted, inside)


def test_the_part_turns_with_its_image(drawn: Path) -> None:
    _, datamodule = prepare(compose("patchcore", drawn, PLAIN))
    sample = datamodule.dataset(datamodule.split_samples("train"))[0]
    assert sample.foreground is not None
    turned = augment(sample, v2.RandomHorizontalFlip(p=1.0)).foreground
    assert turned is not None
    assert torch.equal(turned, sample.foreground.flip(-1))


@pytest.mark.parametrize("name", ["fastflow", "unet", "mask_rcnn"])
def test_a_model_that_cannot_leave_the_ground_out_says_which_can(name: str) -> None:
    keys = [f"model={name}", *DATA, *NEEDS.get(name, ()), PLAIN]
    with pytest.raises(ConfigError, match=r"data\.foreground=null for \w+; patchcore, padim"):
        build_module(compose_config("train", keys))


def test_faces_that_are_cut_out_have_no_ground_to_leave_out() -> None:
    keys = ["model=patchcore", "data=synthetic", "tiling=face", PLAIN]
    with pytest.raises(ConfigError, match=r"data\.foreground=null for tiling=FaceCutting, which cuts the part out"):
        build_module(compose_config("train", keys))
