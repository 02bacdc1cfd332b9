"""Enhancements against slow, obvious re-implementations; zone by zone; and what a config may ask for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from datamodules.enhancing.enhancement import read_enhancement
from datamodules.enhancing.filters import FILTERS
from datamodules.errors import DataError

RNG = np.random.default_rng(4)
GREY = ndimage.gaussian_filter(RNG.random((48, 60)) * 255, 2).astype(np.float64)
GREY8 = np.clip((GREY - GREY.min()) / np.ptp(GREY) * 255, 0, 255).astype(np.uint8)
COLOUR8 = np.stack([GREY8, 255 - GREY8, GREY8 // 2], axis=2)


@pytest.mark.parametrize("name", sorted(FILTERS))
@pytest.mark.parametrize("values", [GREY8, COLOUR8], ids=["grey", "colour"])
def test_every_enhancement_takes_grey_and_colour_and_keeps_the_size(name: str, values: np.ndarray[Any, Any]) -> None:
    before = values.copy()
    found = FILTERS[name](values)
    assert found.dtype == np.uint8
    assert found.shape[:2] == values.shape[:2]
    np.testing.assert_array_equal(values, before)


def test_filters_are_what_their_names_say() -> None:
    plain = GREY8.astype(np.float64)
    np.testing.assert_array_equal(FILTERS["median"](GREY8), ndimage.median_filter(GREY8, 5, mode="nearest"))
    sides = ndimage.correlate1d(plain, [-1.0, 0.0, 1.0], axis=1, mode="mirror")
    slope = ndimage.correlate1d(sides, [1.0, 2.0, 1.0], axis=0, mode="mirror")
    np.testing.assert_array_equal(FILTERS["sobel_x"](GREY8), np.clip(np.abs(slope), 0, 255))
    kernel = np.exp(-(np.arange(-2, 3.0) ** 2) / 2)
    kernel /= kernel.sum()
    smooth = ndimage.correlate1d(ndimage.correlate1d(plain, kernel, axis=0, mode="mirror"), kernel, mode="mirror")
    assert np.abs(FILTERS["gaussian"](GREY8) - smooth).max() <= 1
    mean = ndimage.uniform_filter(plain, 11, mode="nearest")
    found = FILTERS["adaptive"](GREY8)
    clear = np.abs(plain - (mean - 2)) > 1
    np.testing.assert_array_equal(found[clear] == 255, (plain > mean - 2)[clear])
    shades = np.arange(256, dtype=np.uint8)[None]
    bright = FILTERS["gamma"](shades, gamma=2.0)[0]
    np.testing.assert_array_equal(bright, np.rint(255 * np.sqrt(np.arange(256) / 255)))


def test_otsu_splits_where_the_classes_differ_most() -> None:
    between = []
    for level in range(256):
        low, high = GREY8[level >= GREY8].astype(float), GREY8[level < GREY8].astype(float)
        between.append(len(low) * len(high) * (low.mean() - high.mean()) ** 2 if len(low) and len(high) else 0.0)
    np.testing.assert_array_equal(FILTERS["otsu"](GREY8) == 255, int(np.argmax(between)) < GREY8)


def test_a_shadow_is_flattened_and_a_scratch_stays() -> None:
    light = np.linspace(60, 200, 200)[None] * np.ones((200, 1))
    light[100:102, 40:160] *= 0.6
    flat = FILTERS["flatten"](light.astype(np.uint8)).astype(float)
    assert np.ptp(flat[50, 30:170]) < 0.15 * np.ptp(light[50, 30:170])
    assert flat[100, 100] < 0.8 * flat[80, 100]


def test_parameters_hold_in_their_zones_alone() -> None:
    zones = np.full(GREY8.shape, 3, np.uint8)
    zones[10:30, 10:40] = 2
    zones[15:20, 15:25] = 1
    step = read_enhancement([{"name": "gamma", "gamma": 1.0, "core": {"gamma": 2.0}, "cladding": {"gamma": 0.5}}])
    found = step(GREY8, zones_HW=zones)
    for zone, gamma in ((1, 2.0), (2, 0.5), (3, 1.0)):
        inside = zones == zone
        np.testing.assert_array_equal(found[inside], FILTERS["gamma"](GREY8, gamma=gamma)[inside])
    np.testing.assert_array_equal(step(GREY8), GREY8)


def test_the_parameters_of_zones_are_those_of_the_system_that_this_replaces() -> None:
    zones = np.full(GREY8.shape, 3, np.uint8)
    zones[:20], zones[20:30] = 1, 2
    canny, clahe = read_enhancement(["canny"]), read_enhancement(["clahe"])
    assert canny.by_zone
    edges = canny(GREY8, zones_HW=zones)
    for zone, (low, high) in {1: (100, 200), 2: (50, 150), 3: (80, 180)}.items():
        np.testing.assert_array_equal(edges[zones == zone], FILTERS["canny"](GREY8, low, high)[zones == zone])
    equal = clahe(GREY8, zones_HW=zones)
    for zone, clip in {1: 2.0, 2: 1.5, 3: 1.5}.items():
        np.testing.assert_array_equal(equal[zones == zone], FILTERS["clahe"](GREY8, clip)[zones == zone])
    everywhere = read_enhancement([{"name": "clahe", "clip": 0.8, "tiles": 9}])
    assert not everywhere.by_zone
    np.testing.assert_array_equal(everywhere(GREY8, zones_HW=zones), FILTERS["clahe"](GREY8, 0.8, 9))


def test_steps_follow_one_another_or_become_channels() -> None:
    chain = read_enhancement(["median", "gradient"])(GREY8)
    np.testing.assert_array_equal(chain, FILTERS["gradient"](FILTERS["median"](GREY8)))
    one, two, three = (
        read_enhancement(names, "channels")(GREY8)
        for names in (["clahe"], ["clahe", "gradient"], ["clahe", "gradient", "median"])
    )
    clahe, gradient, median = (FILTERS[name](GREY8) for name in ("clahe", "gradient", "median"))
    np.testing.assert_array_equal(one, np.stack([GREY8, clahe, clahe], 2))
    np.testing.assert_array_equal(two, np.stack([GREY8, clahe, gradient], 2))
    np.testing.assert_array_equal(three, np.stack([clahe, gradient, median], 2))


@pytest.mark.parametrize(("values", "white"), [(GREY8.astype(np.uint16) * 257, None), (GREY8 / np.float32(510), 0.5)])
def test_other_types_come_to_eight_bits_by_what_means_white(values: Any, white: float | None) -> None:
    np.testing.assert_array_equal(read_enhancement(["gamma"])(values, white), FILTERS["gamma"](GREY8))
    assert read_enhancement([])(values, white) is values


def test_plain_values_give_the_same_again() -> None:
    asked = read_enhancement([{"name": "clahe", "clip": 3, "core": {"clip": 4}}, "flatten"], "channels")
    plain = asked.to_plain()
    assert read_enhancement(plain["entries"], plain["mode"]) == asked
    assert read_enhancement(read_enhancement(["canny"]).to_plain()["entries"]) == read_enhancement(["canny"])


@pytest.mark.parametrize(
    ("entries", "mode", "said"),
    [
        (["clae"], "replace", "did you mean 'clahe'"),
        ([{"clip": 2.0}], "replace", "to name an enhancement"),
        ([{"name": "clahe", "clipp": 2.0}], "replace", "did you mean 'clip'"),
        ([{"name": "clahe", "clip": "much"}], "replace", "clip of clahe"),
        ([{"name": "clahe", "clip": float("nan")}], "replace", "clip of clahe"),
        ([{"name": "median", "size": 4}], "replace", "an odd number from 3 to 255"),
        ([{"name": "adaptive", "block": 5.5}], "replace", "block of adaptive"),
        ([{"name": "clahe", "tiles": True}], "replace", "tiles of clahe"),
        ([{"name": "clahe", "core": 3}], "replace", "core of clahe in data.enhance to hold parameters"),
        ([{"name": "jet", "clip": 3}], "replace", "No parameter 'clip' of jet"),
        (["clahe"], "both", "data.enhance_as to be replace or channels"),
        (["clahe", "median", "gamma", "otsu"], "channels", "at most 3 enhancements"),
    ],
)
def test_what_means_nothing_is_refused(entries: list[Any], mode: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_enhancement(entries, mode)
