"""An image on which an instance model finds nothing is not defective, whatever a policy would gain by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from callbacks.decisions.calibration import Calibration
from callbacks.policies.choice import choose_threshold
from callbacks.policies.cost import Cost
from callbacks.policies.f1 import F1
from callbacks.policies.fixed import Fixed
from callbacks.policies.normal import Normal
from callbacks.policies.recall import Recall
from datamodules.samples.batch import InspectionBatch, Sample, collate

if TYPE_CHECKING:
    from callbacks.policies.base import Policy

POLICIES = [F1(), F1(beta=3.0), Recall(1.0), Cost(miss=1e6), Fixed(0.0), Normal(0.5)]


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("found", [[0.0] * 10, [0.0] * 6 + [0.2, 0.4, 0.0, 0.7], [0.3, *[0.0] * 9]])
def test_no_threshold_is_reached_by_finding_nothing(policy: Policy, found: list[float]) -> None:
    label = [1] * 8 + [0] * 2
    chosen = choose_threshold(policy, found, label, nothing=0.0)
    assert chosen.value > 0
    assert np.float32(0) < np.float32(chosen.value), "in float32, too, as runtimes compare"


def test_without_it_the_best_f1_would_call_everything_defective() -> None:
    found, label = [0.0] * 10, [1] * 8 + [0] * 2
    assert choose_threshold(F1(), found, label).value == 0.0
    chosen = choose_threshold(F1(), found, label, nothing=0.0)
    assert "nothing was found" in chosen.promise


def test_f1_is_still_the_best_of_what_is_left() -> None:
    found, label = [0.0, 0.9, 0.8, 0.7, 0.1, 0.1, 0.1, 0.0], [1, 1, 1, 1, 0, 0, 0, 1]
    chosen = choose_threshold(F1(), found, label, nothing=0.0)
    assert 0.1 < chosen.value <= 0.7, "not just above 0, where three good ones would be defective"


@pytest.mark.parametrize("score", [0.0, 0.6])
def test_a_calibration_of_an_instance_model_calls_an_empty_picture_good(score: float) -> None:
    samples = [
        Sample(torch.rand(3, 8, 8), f"p{index}", f"/p{index}.png", int(index > 1), group=f"g{index}")
        for index in range(6)
    ]
    batch: InspectionBatch = collate(samples)
    batch.pred_score = torch.tensor([0.0] * 5 + [score])
    batch.anomaly_map = batch.pred_score[:, None, None].repeat(1, 8, 8)
    batch.detections = [[] for _ in samples]
    calibration = Calibration(F1(), Normal())
    calibration.nothing = 0.0
    calibration.reset()
    calibration.update(batch)
    calibration.choose()
    decided = calibration.decide(batch)
    assert decided.pred_label.tolist() == [False] * 5 + [score > 0]
    assert not decided.pred_mask[:5].any()
