from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from lightning import seed_everything
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from callbacks.measures.coco import Instances, instance_estimates
from datamodules.outlines.classes import DEFECT, PART
from datamodules.outlines.instances import component_target
from datamodules.samples.batch import InspectionBatch, Sample, collate
from datamodules.samples.detections import dense_masks
from models.components.detectors import RESNET50, Selection, small_network
from models.components.laying import lay
from models.errors import DivergedError, WeightsError
from models.features.backbones import Backbone
from models.features.fpn import BackboneFpn
from models.mask_rcnn import MaskRcnn, as_arrays, best_score
from tests.found import same
from tests.models.drawn import LOUPE

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from datamodules.samples.detections import Detections

SIZE = 64


@pytest.fixture(autouse=True)
def seeded() -> None:
    seed_everything(0, verbose=False)
    torch.set_num_threads(1)


def sample(seed: int, *, defective: bool = True, known: bool = True) -> Sample:
    """Draw one or two bright rectangles on noise, or none."""
    generator = torch.Generator().manual_seed(seed)
    image = 0.3 + 0.1 * torch.rand(3, SIZE, SIZE, generator=generator)
    mask = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    for left in (4, 36)[: 1 + seed % 2] if defective else ():
        top, height, width = (int(torch.randint(8, 24, (), generator=generator)) for _ in range(3))
        mask[top : top + height, left : left + width] = True
    image[:, mask] += 0.5
    target = component_target(mask.numpy()) if known else None
    return Sample(image, f"{seed}", "", int(defective), mask, target=target)


def batch(*seeds: int, **options: bool) -> InspectionBatch:
    return collate([sample(seed, **options) for seed in seeds])


@torch.no_grad()
def look(module: MaskRcnn, image: Tensor) -> tuple[Tensor, Tensor, list[Detections]]:
    """Return scores, maps and detections."""
    prediction, detections = module.predict(image)
    assert prediction.pred_score is not None
    assert prediction.anomaly_map is not None
    return prediction.pred_score, prediction.anomaly_map, detections or []


def total(losses: dict[str, Tensor]) -> Any:
    return torch.stack(list(losses.values())).sum()


def model(**options: Any) -> MaskRcnn:
    return MaskRcnn(LOUPE, **({"channels": 16} | options))


def learn(module: MaskRcnn, batches: list[InspectionBatch]) -> None:
    optimizer = module.configure_optimizers()["optimizer"]
    for shown in batches:
        optimizer.zero_grad()
        total(module.losses(shown)).backward()
        optimizer.step()


def test_it_learns_to_outline_what_it_was_shown() -> None:
    module = model(channels=32, limit=10, lr=0.02)
    drawn = [[sample(2 * step), sample(2 * step + 1), sample(step, defective=False)] for step in range(36)]
    learn(module.train(), [collate(samples) for samples in drawn])
    module.eval()
    unseen, found = batch(*range(1000, 1006)), Instances()
    score, anomaly_map, detections = look(module, unseen.image)
    good, _, _ = look(module, batch(*range(1000, 1006), defective=False).image)
    unseen.group = unseen.name
    found.update(unseen, detections)
    assert instance_estimates(found)["mask_ap50"].value > 0.6
    assert score.min() > good.max()
    inside = unseen.gt_mask.as_subclass(torch.Tensor)
    assert anomaly_map[inside].mean() > 10 * anomaly_map[~inside].mean()


def test_scores_and_maps_follow_from_the_defects_among_the_detections() -> None:
    soft = torch.rand(20, 1, 28, 28)
    boxes = torch.tensor([[8.0, 8.0, 40.0, 36.0]]).repeat(20, 1) + torch.randint(-8, 8, (20, 1))
    labels = torch.tensor([PART] * 5 + [DEFECT] * 15)
    scores = torch.linspace(0.95, 0.05, 20)
    found = {"boxes": boxes, "labels": labels, "scores": scores, "masks": soft}
    map_HW, detections = lay(as_arrays(found), (SIZE, SIZE), 0.5, PART)
    expected = np.zeros((SIZE, SIZE), np.float32)
    masks = dense_masks(detections, (SIZE, SIZE))
    for index in range(5, 20):
        sure = {name: value[[index]] for name, value in found.items()} | {"scores": torch.ones(1)}
        one, _ = lay(as_arrays(sure), (SIZE, SIZE), 0.5, PART)
        assert np.array_equal(masks[index], one >= 0.5)
        expected = np.maximum(expected, scores[index].numpy() * one)
    np.testing.assert_allclose(map_HW, expected, rtol=1e-6)
    assert best_score(detections) == float(scores[5])
    assert best_score(detections[:5]) == 0
    parts = {name: value[:5] for name, value in found.items()}
    assert not lay(as_arrays(parts), (SIZE, SIZE), 0.5, PART)[0].any()


def test_detections_are_those_of_torchvision_without_its_resizing() -> None:
    network = small_network(Backbone(**LOUPE | {"layers": [1, 2, 3]}), 16, 3, 1, Selection(0.0, 0.3, 20)).eval()
    image = batch(0, 1).image.as_subclass(torch.Tensor)
    with torch.no_grad():
        ours = network(list(image))
        network.transform = GeneralizedRCNNTransform(SIZE, SIZE, [0.0] * 3, [1.0] * 3).eval()
        theirs = network(list(image))
    for mine, other in zip(ours, theirs, strict=True):
        for name in ("boxes", "labels", "scores"):
            torch.testing.assert_close(mine[name], other[name])
        assert mine["masks"].shape == (20, 1, 28, 28)
        assert other["masks"].shape == (20, 1, SIZE, SIZE)


def test_good_pictures_are_negatives_and_unknown_ones_are_passed_over() -> None:
    module = model().train()
    losses = module.losses(batch(0, 1, defective=False))
    assert losses["loss_classifier"] > 0
    assert losses["loss_objectness"] > 0
    assert losses["loss_mask"] == losses["loss_box_reg"] == 0
    assert module.training_step(batch(0, 1, known=False), 0) is None
    seed_everything(1, verbose=False)
    some = module.losses(collate([sample(0), sample(1, known=False)]))
    seed_everything(1, verbose=False)
    alone = module.losses(batch(0))
    for name, value in alone.items():
        torch.testing.assert_close(some[name], value)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_only_the_last_levels_learn(count: int) -> None:
    """A level learns if its own features change with what is allowed to learn, and no earlier level does."""
    backbone = Backbone(**LOUPE | {"layers": [1, 2, 3]})
    BackboneFpn(backbone, 8, count)
    image = batch(0).image.as_subclass(torch.Tensor)
    assert [level.requires_grad for level in backbone(image)] == [level >= 3 - count for level in range(3)]
    assert len(list(backbone.parameters())) > 0
    assert all(parameter.requires_grad for parameter in backbone.parameters()) == (count == 3)


def test_the_backbone_learns_by_smaller_steps() -> None:
    module = model(lr=0.02, backbone_rate=0.25, trainable_layers=1)
    rates = {
        weight: group["lr"]
        for group in module.configure_optimizers()["optimizer"].param_groups
        for weight in group["params"]
    }
    assert set(rates) == {weight for weight in module.parameters() if weight.requires_grad}
    backbone = set(module.model.network.backbone.backbone.parameters())
    assert {rate for weight, rate in rates.items() if weight in backbone} == {0.005}
    assert {rate for weight, rate in rates.items() if weight not in backbone} == {0.02}
    frozen = model(trainable_layers=0).configure_optimizers()["optimizer"]
    assert [group["lr"] for group in frozen.param_groups] == [0.005]


def test_negative_and_too_many_levels_are_refused() -> None:
    for count in (-1, 4):
        with pytest.raises(ValueError, match=rf"model\.trainable_layers to be from 0 to 3, .* but found {count}"):
            model(trainable_layers=count)


def test_a_saved_model_finds_the_same(tmp_path: Path) -> None:
    module, image = model().eval(), batch(0, 1).image
    torch.save(module.state_dict(), tmp_path / "model.pt")
    seed_everything(7, verbose=False)
    again = model().eval()
    again.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    for mine, other in zip(look(again, image)[2], look(module, image)[2], strict=True):
        assert len(mine) == len(other) > 0
        assert all(same(one, two) for one, two in zip(mine, other, strict=True))
    assert again.origin()["sha256"] == module.origin()["sha256"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "yolo"}, r"model\.network to be fpn or maskrcnn_resnet50_fpn_v2, but found 'yolo'"),
        ({"score_threshold": 1.0}, r"model\.score_threshold to be at least 0 and below 1, but found 1\.0"),
        ({"nms_threshold": -0.1}, r"model\.nms_threshold"),
        ({"limit": 0}, "at least 1, but found 16, 2, 0, 200 and 15"),
        ({"network": RESNET50, "trainable_layers": 6}, "from 0 to 5"),
        ({"backbone_rate": 0.0}, r"model\.backbone_rate to be above 0 .* but found 0\.0; .* model\.trainable_layers=0"),
        ({"backbone_rate": 1.5}, "at most 1, but found 1.5"),
    ],
)
def test_impossible_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(**options)


def test_labels_beyond_the_classes_are_named() -> None:
    shown = batch(0)
    shown.target[0]["labels"] += 2
    with pytest.raises(ValueError, match=r"labels of instances from 1 to 2, but found \[3\]; set model\.num_classes"):
        model().train().losses(shown)


def test_a_training_that_runs_away_says_so() -> None:
    module = model(lr=1e6).train()
    with pytest.raises(DivergedError, match=r"training has diverged; lower model\.lr"):
        learn(module, [batch(0, 1)] * 5)


def test_missing_weights_name_the_ways_out() -> None:
    with pytest.raises(WeightsError, match=r"found none; give a file with model\.weights=PATH, train from nothing"):
        model(network=RESNET50, weights="nowhere.pth")


@pytest.mark.slow
def test_torchvisions_network_takes_weights_from_a_file(tmp_path: Path) -> None:
    import torchvision  # noqa: PLC0415 - two hundred megabytes of weights, for this test alone

    whole = torchvision.models.detection.maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None)
    torch.save(whole.state_dict(), tmp_path / "weights.pth")
    module = model(network=RESNET50, weights=str(tmp_path / "weights.pth"))
    network = module.model.network
    kept = {key: value for key, value in network.state_dict().items() if "predictor" not in key}
    assert all(torch.equal(value, whole.state_dict()[key]) for key, value in kept.items())
    assert network.roi_heads.box_predictor.cls_score.out_features == 3
    stages = {name.split(".")[0] for name, weight in network.backbone.body.named_parameters() if weight.requires_grad}
    assert stages == {"layer2", "layer3", "layer4"}
    assert module.origin()["sha256"]
    total(module.train().losses(batch(0, 1))).backward()
    assert look(module.eval(), batch(2).image)[1].shape == (1, SIZE, SIZE)
