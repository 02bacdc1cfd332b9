"""U-Net: what it learns from, what it ignores, and its losses against plain formulas."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from datamodules.files.fitting import Part
from datamodules.samples.batch import Sample, collate
from models.components.segmentation import PlainUnet, dice_bce_loss, dice_loss, focal_loss
from models.errors import WeightsError
from models.unet import LOSSES, Unet, warm_cosine

if TYPE_CHECKING:
    from pathlib import Path

    from datamodules.samples.batch import InspectionBatch

TINY: dict[str, Any] = {"depth": 2, "width": 4}


def spotted(count: int, seed: int = 0, size: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    """Grey noise, with a brighter square in each image, and where it is."""
    generator = torch.Generator().manual_seed(seed)
    image = 0.4 + 0.05 * torch.randn(count, 1, size, size, generator=generator)
    mask = torch.zeros(count, size, size, dtype=torch.bool)
    for index in range(count):
        top, left = torch.randint(2, size - 8, (2,), generator=generator).tolist()
        mask[index, top : top + 5, left : left + 5] = True
    return (image + 0.3 * mask.unsqueeze(1)).clamp(0, 1).repeat(1, 3, 1, 1), mask


def batch(image_B3HW: torch.Tensor, mask_BHW: torch.Tensor, known: list[bool]) -> InspectionBatch:
    rows = zip(image_B3HW, mask_BHW, known, strict=True)
    return collate(
        [
            Sample(image, f"{i}.png", f"/{i}.png", 1, mask if there else None)
            for i, (image, mask, there) in enumerate(rows)
        ]
    )


def build(**options: Any) -> Unet:
    torch.manual_seed(0)
    return Unet(**(TINY | options))


@pytest.mark.parametrize("loss", ["dice_bce", "focal"])
def test_it_learns_to_mark(loss: str) -> None:
    module = build(loss=loss).train()
    image, mask = spotted(8)
    optimizer = torch.optim.AdamW(module.parameters(), 0.02)
    for index in range(40):
        value = module.training_step(batch(image, mask, [True] * 8), index)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
    module.eval()
    image, mask = spotted(4, seed=1)
    with torch.inference_mode():
        prediction, alone = module.model(image), module.model(image[2:3])
    assert prediction.pred_score.shape == (4,)
    assert prediction.anomaly_map.shape == (4, 24, 24)
    assert prediction.anomaly_map[mask].mean() > prediction.anomaly_map[~mask].mean() + 1
    torch.testing.assert_close(prediction.pred_score[2:3], alone.pred_score, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(prediction.anomaly_map[2:3], alone.anomaly_map, rtol=1e-4, atol=1e-4)


def test_pictures_that_nobody_marked_teach_nothing() -> None:
    image, mask = spotted(4)
    module = build().eval()  # so that batch statistics do not depend on the batch
    both = module.training_step(batch(image, mask, [True, False, True, False]), 0)
    marked = module.training_step(batch(image[::2], mask[::2], [True, True]), 0)
    torch.testing.assert_close(both, marked)
    none = module.training_step(batch(image, mask, [False] * 4), 0)
    none.backward()  # type: ignore[no-untyped-call]  # torch's own
    assert none.item() == 0
    assert all(value.grad is None or not value.grad.any() for value in module.parameters())


@pytest.mark.parametrize("loss", ["dice_bce", "focal"])
def test_padding_teaches_nothing(loss: str) -> None:
    image, mask = spotted(3)
    module = build(loss=loss).eval()
    frame = Part(4, 0, 20, 24)
    samples = [
        Sample(one, f"{i}.png", f"/{i}.png", 1, marks, frame=frame if i else None)
        for i, (one, marks) in enumerate(zip(image, mask, strict=True))
    ]
    found = module.training_step(collate(samples), 0)
    marked_in_padding = mask.clone()
    marked_in_padding[1:, :4] = True
    marked_in_padding[1:, 20:] = True
    samples = [replace(one, mask=marks) for one, marks in zip(samples, marked_in_padding, strict=True)]
    torch.testing.assert_close(module.training_step(collate(samples), 0), found)
    with torch.inference_mode():
        logit = module.model.logits(image)
    parts = [logit[0].flatten(), *(one[4:20].flatten() for one in logit[1:])]
    marks = [mask[0].flatten(), *(one[4:20].flatten() for one in mask[1:])]
    torch.testing.assert_close(found, LOSSES[module.loss_name](torch.cat(parts), torch.cat(marks).float()))


def test_dice_is_two_overlaps_by_both_sizes() -> None:
    rng = np.random.default_rng(0)
    logit, mask = rng.normal(size=(3, 8, 8)), rng.random((3, 8, 8)) < 0.2
    probability = 1 / (1 + np.exp(-logit))
    wanted = 1 - (2 * (probability * mask).sum() + 1) / (probability.sum() + mask.sum() + 1)
    logits, masks = torch.from_numpy(logit), torch.from_numpy(mask).double()
    assert dice_loss(logits, masks).item() == pytest.approx(wanted)
    entropy = -np.where(mask, np.log(probability), np.log(1 - probability)).mean()
    assert dice_bce_loss(logits, masks).item() == pytest.approx(wanted + entropy)
    perfect = torch.where(masks > 0, 30.0, -30.0)
    assert dice_bce_loss(perfect, masks).item() < 1e-6


def test_focal_is_that_of_torchvision() -> None:
    logit = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(0)) * 4
    mask = (torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(1)) < 0.3).float()
    wanted = sigmoid_focal_loss(logit, mask, alpha=0.2, gamma=2.0, reduction="mean")
    torch.testing.assert_close(focal_loss(logit, mask), wanted)


def test_the_learning_rate_rises_and_falls() -> None:
    factors = [warm_cosine(step, 100) for step in range(101)]
    assert factors[0] == pytest.approx(1 / 11)
    assert max(factors) == factors[10] == 1
    assert factors == sorted(factors[:11]) + sorted(factors[11:], reverse=True)
    assert factors[-1] == pytest.approx(0)
    assert [warm_cosine(step, math.inf) for step in (5, 10_000)] == [1, 1]
    assert all(0 <= warm_cosine(step, 1) <= 1 for step in range(3))


@pytest.mark.parametrize(
    ("architecture", "encoder", "depth", "multiple"),
    [("Unet", "resnet18", 3, 1), ("FPN", "resnet18", 5, 32), ("UnetPlusPlus", "tu-mobilenetv2_035", 4, 16)],
)
def test_its_kin_come_by_name(architecture: str, encoder: str, depth: int, multiple: int) -> None:
    module = Unet(architecture=architecture, encoder=encoder, depth=depth).eval()  # type: ignore[arg-type]  # from a list
    assert module.size_multiple == multiple
    with torch.inference_mode():
        image = spotted(2, size=64)[0]
        assert module(image).anomaly_map.shape == (2, 64, 64)
        assert module.embedding(image).shape[0] == 2


@pytest.mark.parametrize(
    ("architecture", "encoder", "head"),
    [
        ("DeepLabV3Plus", "resnet18", "fc"),
        ("Segformer", "mit_b0", "head"),
        ("Unet", "efficientnet-b0", "_fc"),
        ("DeepLabV3Plus", "mobilenet_v2", "classifier.1"),
    ],
)
def test_encoders_of_the_library_take_weights_with_a_classifier(
    architecture: str, encoder: str, head: str, tmp_path: Path
) -> None:
    """These override ``load_state_dict`` each in its own way."""
    path = tmp_path / "weights.pt"
    source = Unet(architecture=architecture, encoder=encoder, depth=5)  # type: ignore[arg-type]  # from a list
    known = source.model.network.encoder.state_dict()
    torch.save({**known, f"{head}.weight": torch.rand(10, 8), f"{head}.bias": torch.rand(10)}, path)
    module = Unet(architecture=architecture, encoder=encoder, depth=5, weights=str(path))  # type: ignore[arg-type]
    loaded = module.model.network.encoder.state_dict()
    assert set(loaded) == set(known)
    assert all(torch.equal(loaded[name], value) for name, value in known.items())
    with torch.inference_mode():
        assert module.eval()(spotted(1, size=64)[0]).anomaly_map.shape == (1, 64, 64)


def test_the_plain_encoder_takes_any_size() -> None:
    network = PlainUnet([4, 8, 16]).eval()
    with torch.inference_mode():
        for height, width in ((32, 32), (33, 47), (5, 9)):
            assert network(torch.rand(1, 3, height, width)).shape == (1, 1, height, width)


def test_weights_of_an_encoder_come_from_a_file(tmp_path: Path) -> None:
    source = Unet(encoder="tu-mobilenetv2_035", depth=3)
    path = tmp_path / "encoder.pt"
    torch.save(source.model.network.encoder.model.state_dict(), path)
    module = Unet(encoder="tu-mobilenetv2_035", depth=3, weights=str(path))
    for name, value in source.model.network.encoder.state_dict().items():
        assert torch.equal(value, module.model.network.encoder.state_dict()[name])
    assert module.origin()["name"] == "tu-mobilenetv2_035"
    assert len(module.origin()["sha256"]) == 64
    with pytest.raises(WeightsError, match=r"Expected a file of weights at .*; .*model\.weights=PATH"):
        build(encoder="tu-mobilenetv2_035", weights=str(tmp_path / "none.pt"))
    assert Unet(**TINY).origin() == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "resnet81"}, r"Expected model\.encoder .* but found 'resnet81'; near: .*resnet18"),
        ({"architecture": "FPN"}, r"model\.encoder=plain to go with Unet, but found FPN"),
        (
            {"encoder": "resnet18", "depth": 9},
            r"model\.encoder and model\.depth to suit Unet, but found resnet18 and 9",
        ),
        ({"width": 1}, r"model\.width at least 2"),
        ({"top_share": 2.0}, r"model\.top_share"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_in_all_turns_a_turned_picture_gets_the_same_score() -> None:
    image = spotted(2, size=24)[0][..., :20]
    turned = torch.rot90(image, 1, (-2, -1))
    with torch.inference_mode():
        plain, turning = build().eval().model, build(all_turns=True).eval().model
        assert not torch.allclose(plain(turned).pred_score, plain(image).pred_score, rtol=1e-3)
        torch.testing.assert_close(turning(turned).pred_score, turning(image).pred_score, rtol=1e-4, atol=1e-5)
        assert torch.equal(turning.logits(image), plain.logits(image))  # what the loss sees


@pytest.mark.parametrize("all_turns", [False, True])
def test_it_exports_with_any_batch(all_turns: bool) -> None:
    module = build(all_turns=all_turns).eval()
    image = spotted(3)[0]
    program = torch.export.export(module, (image,), dynamic_shapes={"image_B3HW": {0: torch.export.Dim.AUTO}})
    with torch.inference_mode():
        for count in (1, 4):
            some = spotted(count, seed=count)[0]
            torch.testing.assert_close(program.module()(some).pred_score, module(some).pred_score, rtol=1e-4, atol=1e-4)
