"""Thresholds by kind and zone, region rules and probabilities, through calibration and decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from callbacks.decisions.calibration import Calibration
from callbacks.decisions.region_rules import RegionRules
from callbacks.policies.f1 import F1
from callbacks.policies.normal import Normal
from datamodules.samples.batch import InspectionBatch, Sample, collate

if TYPE_CHECKING:
    from torch import Tensor

SIDE = 16
DEFECT = (slice(4, 8), slice(4, 8))


def zones_of_halves() -> Tensor:
    zones = torch.ones(SIDE, SIDE, dtype=torch.uint8)
    zones[:, SIDE // 2 :] = 2
    return zones


def batch_of(
    rows: list[tuple[float, int, str]], *, zones: bool = False, ground: tuple[float, float] = (0, 0)
) -> InspectionBatch:
    """Images by score, label and kind: a map is its score on the defect, and the ground of each half elsewhere."""
    samples, maps = [], []
    for index, (score, label, kind) in enumerate(rows):
        mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
        if label == 1:
            mask[DEFECT] = True
        zone_map = zones_of_halves() if zones else None
        sample = Sample(
            torch.zeros(3, SIDE, SIDE), f"p{index}", f"/p{index}.png", label, mask, zone_map, f"g{index}", kind
        )
        samples.append(sample)
        values = torch.full((SIDE, SIDE), float(ground[0]))
        values[:, SIDE // 2 :] = ground[1]
        values[DEFECT] = score
        maps.append(values)
    batch = collate(samples)
    batch.pred_score, batch.anomaly_map = torch.tensor([row[0] for row in rows]), torch.stack(maps)
    return batch


def calibrated(batch: InspectionBatch, **options: Any) -> Calibration:
    calibration = Calibration(F1(), Normal(), **({"min_images": 2} | options))
    calibration.reset()
    calibration.update(batch)
    calibration.choose()
    return calibration


TWO_KINDS = [
    *((float(score), 0, "small") for score in (1, 2, 3)),
    *((float(score), 1, "small") for score in (9, 10)),
    *((float(score), 0, "large") for score in (11, 12, 13)),
    *((float(score), 1, "large") for score in (29, 30)),
    (5.0, 0, "rare"),
]


def test_each_kind_is_decided_by_its_own_threshold() -> None:
    calibration = calibrated(batch_of(TWO_KINDS), scopes=["kind"])
    assert calibration.image is not None
    assert {kind: t.value for kind, t in calibration.image.kind.items()} == {
        "small": 6.0,
        "large": 21.0,
        "rare": calibration.image.all.value,
    }
    decided = calibration.decide(batch_of([(7.0, 0, "small"), (7.0, 0, "large"), (21.0, 0, "large"), (7.0, 0, "new")]))
    everywhere = calibration.image.all.value
    assert decided.pred_label.tolist() == [True, False, True, everywhere <= 7.0]
    assert calibration.image_thresholds(["small", "large", "new"]) == [6.0, 21.0, everywhere]


def test_a_kind_with_too_few_pictures_shares_the_threshold_of_all_and_says_so() -> None:
    rare = calibrated(batch_of(TWO_KINDS), scopes=["kind"]).summary()["image"]["kind"]["rare"]
    assert rare["fallback"]
    assert (rare["n_good"], rare["n_defective"]) == (1, 0)
    assert "Kind 'rare' has only 1 good and 0 defective calibration pictures, where at least 2" in rare["promise"]


def test_without_scopes_one_threshold_holds_for_all() -> None:
    calibration = calibrated(batch_of(TWO_KINDS))
    assert calibration.image is not None
    assert calibration.image.plain
    assert calibration.decides_plainly
    assert "kind" not in calibration.summary()["image"]


def test_a_kinds_pixels_have_a_threshold_of_their_own() -> None:
    calibration = calibrated(batch_of(TWO_KINDS), scopes=["kind"])
    decided = calibration.decide(batch_of([(7.0, 0, "small"), (7.0, 0, "large")]))
    assert decided.pred_mask.flatten(1).any(dim=1).tolist() == [True, False]


def test_each_zone_is_decided_by_its_own_threshold() -> None:
    """Zone 2 is bright by nature: a threshold of all calls all of it defective, or misses the defects of zone 1."""
    rows = [(2.0, 0, ""), (2.0, 0, ""), (6.0, 1, ""), (6.0, 1, "")]
    batch = batch_of(rows, zones=True, ground=(1.0, 8.0))
    zone = calibrated(batch, scopes=["zone"])
    assert zone.pixel is not None
    assert zone.pixel.zone["1"].value == pytest.approx(4.0, abs=0.01)
    assert zone.pixel.zone["2"].fallback
    assert "Zone '2' has only 0 defective" in zone.pixel.zone["2"].promise
    assert torch.equal(zone.decide(batch).pred_mask[2:, :, : SIDE // 2], batch.gt_mask[2:, :, : SIDE // 2])
    assert not zone.decides_plainly
    good = Calibration(Normal(0.5), Normal(), scopes=["zone"], min_images=2)
    good.update(batch)
    good.choose()
    assert good.pixel is not None
    assert {name: round(t.value, 3) for name, t in good.pixel.zone.items()} == {"1": 2.0, "2": 8.0}
    masks = good.decide(batch).pred_mask
    assert torch.equal(masks, batch.gt_mask)


def test_pictures_without_zones_are_decided_by_the_threshold_of_all() -> None:
    rows = [(2.0, 0, ""), (2.0, 0, ""), (6.0, 1, ""), (6.0, 1, "")]
    calibration = calibrated(batch_of(rows, zones=True), scopes=["zone"])
    plain = calibration.decide(batch_of(rows))
    assert torch.equal(plain.pred_mask, plain.anomaly_map >= calibration.pixel_threshold)


def test_borders_between_zones_neither_raise_the_threshold_nor_show_up() -> None:
    batch = batch_of([(2.0, 0, ""), (6.0, 1, "")], zones=True)
    batch.anomaly_map[:, :, SIDE // 2 - 1 : SIDE // 2 + 1] = 50.0  # the edge of the zone
    open_eyes = calibrated(batch)
    eroded = calibrated(batch, regions=RegionRules(erode=1))
    assert open_eyes.pixel is not None
    assert eroded.pixel is not None
    assert eroded.pixel.all.value == pytest.approx(4.0, abs=0.01)
    assert torch.equal(eroded.decide(batch).pred_mask, batch.gt_mask.bool() & (batch.anomaly_map < 50))
    assert open_eyes.decide(batch).pred_mask[0].any()


def test_regions_are_shaped_by_the_rules() -> None:
    batch = batch_of([(0.0, 0, ""), (10.0, 1, "")])
    calibration = calibrated(batch, regions=RegionRules(min_area=3, low=0.5))
    new = batch_of([(10.0, 1, "")])
    new.anomaly_map[0, 8:10, 4:8] = 3.0  # below the threshold of 5, above the line at half of it, touching the defect
    new.anomaly_map[0, 0, 0:2] = 10.0  # a speck
    new.anomaly_map[0, 12:14, 10:14] = 3.0  # faint, and touching nothing
    expected = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    expected[4:10, 4:8] = True
    assert torch.equal(calibration.decide(new).pred_mask[0], expected)


def test_everything_travels_in_the_state_dict() -> None:
    rows = TWO_KINDS * 5
    before = calibrated(
        batch_of(rows), scopes=["kind"], regions=RegionRules(min_area=3, low=0.5, erode=1), probability="isotonic"
    )
    after = Calibration(Normal(), Normal())
    after.load_state_dict(before.state_dict())
    assert after.summary() == before.summary()
    assert after.good_peaks() == before.good_peaks()
    batch = batch_of([(7.0, 0, "small"), (7.0, 0, "large")])
    assert after.decide(batch).pred_label.tolist() == [True, False]


def test_probabilities_come_with_enough_pictures_and_a_reason_without() -> None:
    few = calibrated(batch_of(TWO_KINDS), probability="platt")
    assert few.to_probability is None
    assert "at least 10 of each are needed" in few.summary()["probability_note"]
    enough = calibrated(batch_of(TWO_KINDS * 5), probability="platt")
    assert enough.to_probability is not None
    assert enough.summary()["probability"]["method"] == "platt"
    assert float(enough.to_probability(30.0)) > float(enough.to_probability(1.0))
    assert enough.probability_note == ""


def test_the_summary_has_the_agreed_form() -> None:
    summary = calibrated(batch_of(TWO_KINDS), scopes=["kind", "zone"]).summary()
    assert set(summary) >= {"image", "pixel", "regions", "probability", "map_range"}
    for level in ("image", "pixel"):
        for threshold in (summary[level]["all"], *summary[level]["kind"].values()):
            agreed = {"value", "policy", "promise", "n_good", "n_defective", "fallback"}
            assert set(threshold) == agreed | ({"shared"} if threshold["fallback"] else set())
            assert threshold.get("shared", True)
    assert set(summary["regions"]) == {"min_area", "low", "erode", "usual"}


@pytest.mark.parametrize(
    ("options", "message"),
    [({"scopes": ["group"]}, "kind, zone, but found 'group'"), ({"min_images": 0}, "at least 1")],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Calibration(F1(), Normal(), **options)
