"""Letterboxed images: what is padding teaches no model, and counts in no score; a model that cannot do that says so."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from datamodules.files.fitting import Part, inside_of, mark_padding, place, without_marks
from datamodules.samples.batch import Sample, collate
from models.components.detectors import INSIDE, PASSED_OVER, in_image
from models.components.maps import GaussianBlur, SmoothMap
from models.components.padding import cells_inside, frame_of, marked, mean_inside, opened, worst
from models.components.pooling import top_mean
from tests.models.test_contract import DATA, NEEDS, SLOW, chain_of, fit, look
from tools.configuring.config import compose_config, groups
from tools.errors import ConfigError
from tools.runs.checkpoint import build_module

if TYPE_CHECKING:
    from pathlib import Path

    from tests.models.test_contract import Fitted

REFUSED = {"fastflow", "layered"}
WIDE = {"dinomaly": "[56,84]", "efficient_ad_s": "[96,128]", "efficient_ad_m": "[96,128]"}  # height and width
KINDS = {"patchcore", "padim", "conv_ae_small", "unet", "mask_rcnn"}  # one of each way to learn; all others train, too
MODELS = [
    pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [] if name in KINDS else [pytest.mark.procedure])
    for name in groups()["model"]
    if name not in REFUSED
]
INSIDE_HW = np.pad(np.ones((12, 20), np.bool_), ((0, 0), (5, 7)))  # (12, 32)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


@pytest.fixture(scope="module", params=MODELS)
def letterboxed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, drawn: Path) -> Fitted:
    """Every model, trained on square images in wide tensors."""
    name: str = request.param
    needs = [*NEEDS.get(name, ()), *(chain_of(drawn) if name == "metallography" else ())]
    size = f"data.image_size={WIDE.get(name, '[64,96]')}"
    keys = [f"model={name}", *DATA, *needs, size, "data.fit=letterbox", f"data.root={drawn}"]
    return fit(compose_config("train", [*keys, f"out={tmp_path_factory.mktemp('runs')}"]))


def test_what_is_in_the_padding_changes_nothing(letterboxed: Fitted) -> None:
    module, batch = letterboxed.module, letterboxed.batch
    inside = batch.inside
    assert inside is not None
    assert not inside.all()
    seen = module.images_of(batch)
    assert torch.equal(opened(seen)[0], batch.image)
    score, anomaly_map = look(module, seen)
    for filling in (torch.zeros_like(batch.image), torch.ones_like(batch.image), torch.rand_like(batch.image)):
        strange = torch.where(inside.unsqueeze(1), batch.image, filling)
        found, map_found = look(module, marked(strange, inside))
        assert torch.equal(found, score)
        assert torch.equal(map_found, anomaly_map)


def test_no_score_comes_from_the_padding(letterboxed: Fitted) -> None:
    module, batch = letterboxed.module, letterboxed.batch
    inside = batch.inside
    assert inside is not None
    score, anomaly_map = look(module, module.images_of(batch))
    assert score.isfinite().all()
    name = letterboxed.config.model._target_.rpartition(".")[2]
    if name in {"Padim", "STFPM", "ReverseDistillation", "EfficientAd"}:
        assert torch.equal(score, worst(anomaly_map, inside))
    if module.nothing is not None or name in {"SelfReference", "DO2MR", "LEI", "Do2mrLei"}:
        assert not anomaly_map[~inside].any()
    with torch.inference_mode():
        judged = module.predict_step(batch)
    assert torch.equal(judged.pred_score, score)
    assert not judged.pred_mask[~inside].any()


def test_an_image_that_is_the_whole_tensor_is_judged_as_it_was(letterboxed: Fitted) -> None:
    module, batch = letterboxed.module, letterboxed.batch
    whole = batch.image
    score, anomaly_map = look(module, whole)
    again, map_again = look(module, marked(whole, torch.ones_like(whole[:, 0], dtype=torch.bool)))
    assert torch.equal(score, again)
    assert torch.equal(anomaly_map, map_again)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_model_that_cannot_tell_padding_refuses_it_and_says_what_to_do(name: str) -> None:
    size = ["model.cell_size=64"] if name == "layered" else []
    config = compose_config("train", ["data=synthetic", f"model={name}", "data.fit=letterbox", *size])
    with pytest.raises(ConfigError, match=r"Expected data\.fit to be squash or crop"):
        build_module(config)
    config.data.fit = "crop"
    assert not build_module(config).pads


@pytest.mark.parametrize("more", [["model=unet"], ["model=patchcore"], ["model=conv_ae", "tiling=hann"]])
def test_models_for_images_of_one_size_refuse_others(more: list[str]) -> None:
    config = compose_config("train", ["data=synthetic", "backbone.weights=none", "data.fit=own", *more])
    with pytest.raises(ConfigError, match=r"data\.fit to be squash, letterbox, crop or keep .*set data\.fit=keep"):
        build_module(config)


def test_a_network_that_was_never_told_of_padding_gets_none() -> None:
    module = build_module(compose_config("train", ["data=synthetic", "model=conv_ae_small"]))
    module.model = torch.nn.Conv2d(3, 1, 3)  # as one of somebody's own may be
    with pytest.raises(ValueError, match=r"squash or crop for ConvAutoencoder.* does not tell an image from its pad"):
        module.use_padding()
    assert not module.pads


def test_squashed_images_have_no_marks_and_networks_look_for_none() -> None:
    module = build_module(compose_config("train", ["data=synthetic", "model=conv_ae_small"]))
    batch = collate([Sample(torch.rand(3, 8, 8), "a", "a", 0)])
    assert not module.pads
    assert module.images_of(batch) is batch.image
    network: Any = module.model
    assert network.open(batch.image)[1] is None


@pytest.mark.parametrize(
    ("name", "more"), [("patchcore", ["model.coreset_ratio=1"]), ("padim", []), ("dfm", ["model.pooling=2"])]
)
def test_banks_and_statistics_hold_nothing_of_padding(name: str, more: list[str], tmp_path: Path, drawn: Path) -> None:
    keys = [f"model={name}", *DATA, "data.image_size=[64,128]", "data.fit=letterbox", f"data.root={drawn}", *more]
    fitted = fit(compose_config("train", [*keys, f"out={tmp_path}"]))
    network: Any = fitted.module.model
    learnt: Any = fitted.module.learnt
    images = len(learnt)
    if name == "patchcore":
        grid = network.embed(fitted.batch.image)
        assert len(network.bank_MD) == images * grid.shape[2] * grid.shape[3] // 2
        assert network.image_M.bincount().tolist() == [len(network.bank_MD) // images] * images
    elif name == "padim":
        count_hw = network.count_P.view(*network.features(fitted.batch.image).shape[-2:])
        side = count_hw.shape[1] // 4
        assert count_hw[:, side:-side].eq(images).all()
        assert not count_hw[:, :side].any()
        assert not count_hw[:, -side:].any()
    else:
        known = network.known_D.view(network.features(fitted.batch.image).shape[1:])
        assert known.shape[-1] == 4
        assert known[..., 1:3].all()
        assert not known[..., [0, 3]].any()


def test_the_stages_of_mask_rcnn_learn_nothing_of_boxes_in_the_padding() -> None:
    keys = ["data=synthetic", "model=mask_rcnn", "data.fit=letterbox", "backbone.weights=none"]
    network: Any = build_module(compose_config("train", keys)).model.network
    inside = torch.zeros(64, 64, dtype=torch.bool)
    inside[:, 16:48] = True
    target = {
        "boxes": torch.tensor([[20.0, 20.0, 40.0, 40.0]]),
        "labels": torch.tensor([1]),
        "masks": torch.zeros(1, 64, 64, dtype=torch.uint8),
        INSIDE: inside,
    }
    anchors = torch.tensor([[20.0, 20.0, 40.0, 40.0], [0.0, 0.0, 8.0, 8.0], [20.0, 0.0, 28.0, 8.0], [50.0, 0, 60, 9]])
    (labels,), _ = network.rpn.assign_targets_to_anchors([anchors], [target])
    assert labels.tolist() == [1.0, PASSED_OVER, 0.0, PASSED_OVER]
    proposals, *_ = network.roi_heads.select_training_samples([anchors], [target])
    assert in_image(proposals[0], inside).all()
    del target[INSIDE]
    (labels,), _ = network.rpn.assign_targets_to_anchors([anchors], [target])
    assert labels.tolist() == [1.0, 0.0, 0.0, 0.0]


def test_marks_say_what_is_padding_and_go_again_in_both_worlds() -> None:
    placement = place((30, 30), (24, 40), "letterbox")
    image = np.random.default_rng(0).random((3, 24, 40), dtype=np.float32)
    seen = mark_padding(image, placement)
    assert np.array_equal(inside_of(seen[None])[0], placement.inside())
    np.testing.assert_allclose(without_marks(seen[None])[0], image, atol=1e-6)
    ours, inside = opened(torch.from_numpy(seen)[None])
    assert np.array_equal(inside[0].numpy(), placement.inside())
    frame = placement.frame
    assert np.array_equal(
        ours[0][:, frame.top : frame.bottom, frame.left : frame.right],
        frame.of(image.transpose(1, 2, 0)).transpose(2, 0, 1),
    )
    edge = np.pad(frame.of(image.transpose(1, 2, 0)), _sides(frame, placement.seen), mode="edge").transpose(2, 0, 1)
    assert np.array_equal(ours[0].numpy(), edge)


def _sides(frame: Part, seen: tuple[int, int]) -> list[tuple[int, int]]:
    return [(frame.top, seen[0] - frame.bottom), (frame.left, seen[1] - frame.right), (0, 0)]


def test_measures_of_maps_are_those_of_the_image_alone() -> None:
    torch.manual_seed(0)
    map_BHW, inside = torch.randn(3, 12, 32), torch.from_numpy(INSIDE_HW).expand(3, -1, -1)
    inner = map_BHW[:, :, 5:25]
    for share in (0.001, 0.01, 0.1, 1.0):
        torch.testing.assert_close(top_mean(map_BHW, share, inside), top_mean(inner, share))
    assert torch.equal(worst(map_BHW, inside), inner.amax(dim=(1, 2)))
    value = torch.rand(3, 4, 12, 32)
    torch.testing.assert_close(mean_inside(value, inside), value[..., 5:25].mean())
    assert mean_inside(value, torch.zeros_like(inside)) == 0
    assert frame_of(inside[0], (12, 32)) == (slice(0, 12), slice(5, 25))
    assert cells_inside(inside, 3, 8)[0].tolist() == [[False, True, True, True, True, True, False, False]] * 3


def test_an_image_so_narrow_that_no_cell_has_its_middle_keeps_those_that_it_touches() -> None:
    inside = torch.zeros(2, 16, 32, dtype=torch.bool)
    inside[0, :, 13:15] = True
    assert cells_inside(inside, 2, 4).tolist() == [[[False, True, False, False]] * 2, [[False] * 4] * 2]


@cache
def blurs() -> tuple[GaussianBlur, SmoothMap]:
    return GaussianBlur(2.0), SmoothMap(2.0)


@pytest.mark.parametrize("outside", [0.0, 1e3, -1e3])
def test_a_blur_takes_nothing_from_the_padding(outside: float) -> None:
    blur, smooth = blurs()
    inside = torch.from_numpy(INSIDE_HW)[None]
    flat = torch.where(inside, 3.0, outside)
    torch.testing.assert_close(blur(flat, inside.float())[inside], torch.full((240,), 3.0), atol=1e-4, rtol=0)
    cells = cells_inside(inside, 3, 8)
    found = smooth(torch.where(cells, 3.0, outside), 12, 32, cells)
    assert found.isfinite().all()
    torch.testing.assert_close(found[:, :, 8:20], torch.full((1, 12, 12), 3.0), atol=1e-3, rtol=0)
