"""The brightness baseline, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from callbacks.measures.baseline import brightness_baseline, flipped
from callbacks.statistics.bootstrap import Estimate, Resampling


@pytest.mark.parametrize("seed", range(4))
def test_baseline_equals_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    brightness, label = rng.random(60), rng.integers(0, 2, 60)
    group = np.arange(60).astype(str)
    found = brightness_baseline(brightness, label, group, Resampling(50))
    auroc = roc_auc_score(label, brightness)
    assert found["image_auroc"].value == pytest.approx(auroc)
    assert found["image_ap"].value == pytest.approx(average_precision_score(label, brightness))
    assert found["separability"].value == pytest.approx(max(auroc, 1 - auroc))
    assert found["image_f1_flag_all"].value == pytest.approx(f1_score(label, np.ones(60)))


def test_darker_defects_are_separable_too() -> None:
    brightness, label = np.linspace(0, 1, 20), np.repeat([1, 0], 10)
    found = brightness_baseline(brightness, label, np.arange(20).astype(str), Resampling(50))
    assert found["image_auroc"].value == 0.0
    assert found["separability"].value == 1.0
    assert found["separability"].low > 0.5


def test_flipping_keeps_the_interval_around_the_value() -> None:
    estimate = flipped(Estimate(0.2, 0.1, 0.4))
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.8, 0.6, 0.9))
