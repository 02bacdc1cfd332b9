"""The patch classifier: its loss against scikit-learn, its map, and that it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_sample_weight
from torch.nn import functional as F

from datamodules.samples.batch import InspectionBatch, Sample, collate
from models.patch_classifier import PatchClassifier, balanced_cross_entropy
from tests.models.drawn import LOUPE

RESNET = LOUPE | {"name": "resnet18", "layers": [4], "weights": "none"}


def batch(labels: list[int], seed: int = 0) -> InspectionBatch:
    """Noise; defective ones have a bright square in the upper left."""
    image_B3HW = torch.rand(len(labels), 3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 0.5
    for image, label in zip(image_B3HW, labels, strict=True):
        if label == 1:
            image[:, 8:24, 8:24] = 1
    samples = zip(image_B3HW, labels, strict=True)
    return collate([Sample(image, f"{index}", f"/{index}", label) for index, (image, label) in enumerate(samples)])


def test_the_loss_is_that_of_scikit_learn() -> None:
    logit_N = torch.randn(40, generator=torch.Generator().manual_seed(0))
    label_N = (torch.arange(40) % 5 == 0).long()
    found = balanced_cross_entropy(logit_N, label_N, torch.tensor([32.0, 8.0]))
    weights = compute_sample_weight("balanced", label_N)
    wanted = log_loss(label_N, logit_N.sigmoid().double().numpy(), sample_weight=weights)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_pictures_of_unknown_label_count_nowhere() -> None:
    logit_N = torch.tensor([1.0, -2.0, 30.0], requires_grad=True)
    counts = torch.tensor([1.0, 1.0])
    known = balanced_cross_entropy(logit_N[:2], torch.tensor([1, 0]), counts)
    assert float(balanced_cross_entropy(logit_N, torch.tensor([1, 0, -1]), counts)) == pytest.approx(float(known))
    nothing = balanced_cross_entropy(logit_N, torch.tensor([-1, -1, -1]), torch.zeros(2))
    torch.autograd.backward(nothing)
    assert float(nothing) == 0
    assert logit_N.grad is not None
    assert (logit_N.grad == 0).all()


@pytest.mark.parametrize("arguments", [LOUPE, RESNET])
def test_it_learns_where_to_look(arguments: dict[str, Any]) -> None:
    torch.manual_seed(0)
    module = PatchClassifier(arguments, learning_rate=0.02, backbone_learning_rate=1e-3)
    module.log = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer here
    optimizer = module.configure_optimizers()
    module.train()
    for step in range(12):
        loss = module.training_step(batch([0, 1, 0, 0, -1, 1], seed=step), step)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert module.seen_2.tolist() == [36, 24]
    with torch.inference_mode():
        found = module.eval().model(batch([0, 1, 0, 1], seed=99).image)
    assert min(found.pred_score[[1, 3]]) > max(found.pred_score[[0, 2]])
    if arguments is LOUPE:  # the last map of the other is 2 x 2
        row, column = np.unravel_index(int(found.anomaly_map[1].argmax()), (64, 64))
        assert row < 34
        assert column < 34


def test_the_score_is_the_logit_of_the_pooled_features() -> None:
    module = PatchClassifier(LOUPE).eval()
    image = batch([0, 1, 0]).image
    with torch.inference_mode():
        pooled_BC = module.embedding(image)
        wanted = F.conv2d(pooled_BC[:, :, None, None], module.model.head.weight, module.model.head.bias).flatten()
        torch.testing.assert_close(module.model(image).pred_score, wanted)


def test_a_frozen_backbone_stays_as_it_is() -> None:
    module = PatchClassifier(RESNET, backbone_learning_rate=0).train()
    assert not any(part.training for part in module.model.backbone.modules())
    assert sum(len(group["params"]) for group in module.configure_optimizers().param_groups) == 2
    learning = PatchClassifier(RESNET).train()
    assert learning.model.backbone.network.training
    assert not learning.eval().model.backbone.network.training


def test_impossible_rates_are_refused() -> None:
    with pytest.raises(ValueError, match=r"backbone_learning_rate to be at least 0, but found 0\.001 and -1"):
        PatchClassifier(LOUPE, backbone_learning_rate=-1)
