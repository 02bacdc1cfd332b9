"""Calibration: what it sees, what it chooses, what it promises, and that all of it travels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from anomalib.data import InferenceBatch
from torch import Tensor

from callbacks.decisions.calibration import Calibration, calibration_of
from callbacks.policies.f1 import F1
from callbacks.policies.fixed import Fixed
from callbacks.policies.normal import Normal
from datamodules.samples.batch import InspectionBatch, Sample, collate

if TYPE_CHECKING:
    from callbacks.policies.base import Policy


def scored_batch(scores: list[float], labels: list[int], masks: list[bool | None] | None = None) -> InspectionBatch:
    """Images of 8x8 with given scores; a map is its score on a square of 2x2 and a tenth of it elsewhere."""
    samples = []
    for index, label in enumerate(labels):
        mask = torch.zeros(8, 8, dtype=torch.bool)
        mask[2:4, 2:4] = True
        known = masks is not None and masks[index]
        samples.append(
            Sample(
                torch.rand(3, 8, 8),
                f"p{index}",
                f"/p{index}.png",
                label,
                mask=mask if known else None,
                group=f"g{index}",
            )
        )
    batch = collate(samples)
    map_NHW = torch.tensor(scores)[:, None, None].repeat(1, 8, 8) / 10
    map_NHW[:, 2:4, 2:4] *= 10
    batch.pred_score, batch.anomaly_map = torch.tensor(scores), map_NHW
    return batch


def calibrated(batch: InspectionBatch, policy: Policy | None = None) -> Calibration:
    calibration = Calibration(policy or F1(), Normal())
    calibration.reset()
    calibration.update(batch)
    calibration.choose()
    return calibration


def forward(calibration: Calibration, scores: Tensor) -> InferenceBatch:
    decided: InferenceBatch = calibration(
        InferenceBatch(pred_score=scores, anomaly_map=scores[:, None, None].repeat(1, 8, 8))
    )
    return decided


def test_the_threshold_lies_between_the_classes_and_equality_is_defective() -> None:
    calibration = calibrated(scored_batch([1.0, 2.0, 3.0, 7.0, 9.0], [0, 0, 0, 1, 1]))
    assert calibration.image is not None
    assert calibration.image.all.value == 5.0
    decided = forward(calibration, torch.tensor([4.999, 5.0, 5.001]))
    assert decided.pred_label is not None
    assert decided.pred_label.tolist() == [False, True, True]


def test_scores_pass_through_unchanged() -> None:
    calibration = calibrated(scored_batch([1.0, 2.0, 30.0], [0, 0, 1]))
    scores = torch.tensor([-3.0, 1e6])
    decided = forward(calibration, scores)
    assert decided.pred_score is not None
    torch.testing.assert_close(decided.pred_score, scores, rtol=0, atol=0)


def test_pixels_use_masks_where_there_are_any() -> None:
    batch = scored_batch([1.0, 1.0, 8.0], [0, 0, 1], masks=[None, None, True])
    calibration = calibrated(batch)
    assert calibration.pixel is not None
    assert not calibration.pixel.all.fallback
    decided = calibration(InferenceBatch(pred_score=batch.pred_score, anomaly_map=batch.anomaly_map))
    assert torch.equal(decided.pred_mask, batch.gt_mask)


def test_pixels_without_masks_rest_on_the_peaks_of_good_pictures() -> None:
    calibration = calibrated(scored_batch([1.0, 2.0, 3.0, 8.0], [0, 0, 0, 1]))
    assert calibration.pixel is not None
    assert calibration.pixel.all.fallback
    assert "No defect is marked" in calibration.pixel.all.promise
    assert calibration.pixel.all.value == pytest.approx(3.0)
    assert calibration.pixel.all.value > 3.0


def test_good_pictures_alone_use_the_fallback_and_say_so() -> None:
    calibration = calibrated(scored_batch([1.0, 2.0, 3.0], [0, 0, 0]))
    assert calibration.image is not None
    assert calibration.image.all.fallback
    assert "holds no defective pictures" in calibration.image.all.promise
    assert calibration.objective() is None


def test_unlabelled_pictures_play_no_part() -> None:
    with_unknown = calibrated(scored_batch([1.0, 2.0, 7.0, 100.0], [0, 0, 1, -1]))
    without = calibrated(scored_batch([1.0, 2.0, 7.0], [0, 0, 1]))
    assert with_unknown.image is not None
    assert without.image is not None
    assert with_unknown.image.all.value == without.image.all.value


def test_shuffling_and_batching_change_nothing() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=30).round(1).tolist(), rng.integers(0, 2, 30).tolist()
    whole = calibrated(scored_batch(scores, labels, masks=[True] * 30))
    order = rng.permutation(30)
    parts = Calibration(F1(), Normal())
    parts.reset()
    for part in np.array_split(order, 4):
        chosen = [int(index) for index in part]
        parts.update(
            scored_batch([scores[index] for index in chosen], [labels[index] for index in chosen], [True] * len(chosen))
        )
    parts.choose()
    assert parts.image == whole.image
    assert parts.pixel == whole.pixel


def test_a_perfect_objective_is_one() -> None:
    assert calibrated(scored_batch([1.0, 2.0, 3.0], [0, 0, 1])).objective() == 1.0


def test_thresholds_travel_in_the_state_dict_as_plain_values(tmp_path: object) -> None:
    calibration = calibrated(scored_batch([1.0, 2.0, 7.0], [0, 0, 1]))
    path = f"{tmp_path}/c.pt"
    torch.save(calibration.state_dict(), path)
    other = Calibration(Normal(), Normal())
    before = other.calibrated
    other.load_state_dict(torch.load(path, weights_only=True))
    assert (before, other.calibrated) == (False, True)
    assert other.summary() == calibration.summary()
    assert float(other.image_threshold) == float(calibration.image_threshold)


def test_an_uncalibrated_one_has_no_summary() -> None:
    calibration = Calibration(F1(), Normal())
    with pytest.raises(ValueError, match="no threshold has been chosen"):
        calibration.summary()
    with pytest.raises(ValueError, match="no threshold has been chosen"):
        calibration.decide(scored_batch([1.0], [0]))


def test_a_checkpoint_of_an_earlier_version_says_so() -> None:
    before = {"image": None, "pixel": None, "map_range": [0.0, 1.0], "scores": []}
    with pytest.raises(ValueError, match="another version of Loupe wrote this checkpoint; train again"):
        Calibration(F1(), Normal()).load_state_dict(Calibration(F1(), Normal()).state_dict() | {"_extra_state": before})


def test_defective_pictures_alone_give_thresholds_that_say_what_they_rest_on() -> None:
    """As in sets where every image shows a defect: pixels still tell good from defective."""
    batch = scored_batch([4.0, 7.0, 9.0], [1, 1, 1], masks=[True] * 3)
    calibration = calibrated(batch)
    assert calibration.image is not None
    assert calibration.pixel is not None
    assert (calibration.image.all.value, calibration.image.all.fallback) == (4.0, True)
    assert "holds no good pictures" in calibration.image.all.promise
    assert not calibration.pixel.all.fallback
    assert torch.equal(calibration.decide(batch).pred_mask, batch.gt_mask)


def test_defective_pictures_without_masks_do_not_end_a_run_either() -> None:
    for policy in (F1(), Normal(), Fixed(2.0)):
        calibration = calibrated(scored_batch([4.0, 7.0, 9.0], [1, 1, 1]), policy)
        assert calibration.calibrated
        assert calibration.summary()["pictures"] == {"good": 0, "defective": 3}


def test_pictures_that_nobody_labelled_are_refused() -> None:
    with pytest.raises(ValueError, match="label some of the calibration pictures"):
        calibrated(scored_batch([1.0], [-1]))


def test_a_module_without_calibration_is_refused() -> None:
    with pytest.raises(TypeError, match="Expected post_processor to be a Calibration"):
        calibration_of(torch.nn.Linear(1, 1))  # type: ignore[arg-type]  # the mistake under test
