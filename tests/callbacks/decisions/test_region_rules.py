"""Region rules against scikit-image, and what they promise about specks, edges and borders between zones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from callbacks.decisions.region_rules import RegionRules, away_from_borders

filters = pytest.importorskip("skimage.filters", reason="scikit-image is an oracle of the tests only")
measure = pytest.importorskip("skimage.measure", reason="scikit-image is an oracle of the tests only")
morphology = pytest.importorskip("skimage.morphology", reason="scikit-image is an oracle of the tests only")


def smooth(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(64, 48)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 1.5)) * 5


def mask(
    rules: RegionRules, values: np.ndarray, line: float, usual: float = 0.0, zones: np.ndarray | None = None
) -> np.ndarray:
    zones_1HW = None if zones is None else torch.from_numpy(zones)[None]
    found = rules.masks(torch.from_numpy(values)[None], torch.full((1, 1, 1), line), usual, zones_1HW)
    return found[0].numpy()


@pytest.mark.parametrize("seed", range(5))
def test_hysteresis_is_scikit_images(seed: int) -> None:
    values, line = smooth(seed), 1.5
    usual = float(np.median(values))
    low = usual + 0.4 * (line - usual)
    # Its hysteresis joins 4 neighbours, ours 8: its labels give the same.
    weak = measure.label(values >= low, connectivity=2)
    expected = np.isin(weak, np.unique(weak[values >= line])) & (weak > 0)
    found = mask(RegionRules(low=0.4), values, line, usual)
    np.testing.assert_array_equal(found, expected)
    assert (found >= filters.apply_hysteresis_threshold(values, low, line)).all()


@pytest.mark.parametrize("least", [1, 2, 5, 30])
def test_small_regions_go_as_in_scikit_image(least: int) -> None:
    values = smooth(1)
    strong = values >= 1.0
    expected = morphology.remove_small_objects(strong, max_size=least - 1, connectivity=2) if least > 1 else strong
    np.testing.assert_array_equal(mask(RegionRules(min_area=least), values, 1.0), expected)


def test_a_plain_rule_is_the_threshold_alone() -> None:
    values = smooth(2)
    assert RegionRules().plain
    np.testing.assert_array_equal(mask(RegionRules(), values, 0.7), values >= np.float32(0.7))


def test_pixels_beside_the_border_of_zones_are_not_judged() -> None:
    zones = np.ones((40, 40), np.uint8)
    zones[:, 20:] = 2
    values = np.zeros((40, 40), np.float32)
    values[5:9, 18:22] = 9.0  # on the border: the border's own anomaly
    values[20:24, 5:9] = 9.0  # inside a zone
    values[30:34, 0:4] = 9.0  # at the edge of the image, which is not a border between zones
    found = mask(RegionRules(erode=3), values, 5.0, zones=zones)
    assert not found[5:9].any()
    assert found[20:24, 5:9].all()
    assert found[30:34, 0:4].all()
    np.testing.assert_array_equal(mask(RegionRules(erode=3), values, 5.0), values >= 5)


def test_distances_to_borders_are_counted_along_rows_and_columns() -> None:
    zones = np.zeros((11, 11), np.uint8)
    zones[5, 5] = 3
    away = away_from_borders(zones, 2)
    rows, columns = np.indices(zones.shape)
    expected = np.maximum(abs(rows - 5), abs(columns - 5)) > 2
    np.testing.assert_array_equal(away, expected)


@pytest.mark.parametrize("wrong", [{"min_area": -1}, {"erode": -2}, {"low": 1.0}, {"low": -0.1}])
def test_rules_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Expected"):
        RegionRules(**wrong)  # type: ignore[arg-type]  # values by name
