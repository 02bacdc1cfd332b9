"""Limits of what is usual hold for fresh images of the same source, however few there were to go by."""

from __future__ import annotations

import numpy as np
import pytest

from callbacks.statistics.novelty import FACTS, RATE, TAIL, find_limits, unusual


def limits(values: np.ndarray, groups: np.ndarray | None = None, name: str = "sharpness") -> tuple[float, float]:
    found = find_limits(name, values, np.arange(len(values)) if groups is None else groups)
    assert found is not None
    return found.low, found.high


@pytest.mark.parametrize("count", [10, 30, 300])
@pytest.mark.parametrize("tail", ["normal", "t"])
def test_fresh_values_are_rarely_outside(count: int, tail: str) -> None:
    rng = np.random.default_rng(count)
    outside = []
    for _ in range(200):
        draw = rng.normal if tail == "normal" else lambda size: rng.standard_t(4, size)
        low, high = limits(np.exp(draw(size=count)))
        fresh = np.exp(draw(size=400))
        outside.append(float(((fresh < low) | (fresh > high)).mean()))
    assert np.mean(outside) <= 0.004  # of one fact: seven of them stay below 0.03 even if each were independent
    assert np.mean(outside) <= 0.002 or count < 30


def test_with_many_images_the_limit_is_an_order_statistic() -> None:
    values = np.exp(np.random.default_rng(0).normal(size=20_000))
    low, high = limits(values)
    assert (values > high).mean() == pytest.approx(RATE, abs=1e-4)
    assert (values < low).mean() == pytest.approx(RATE, abs=1e-4)


def test_groups_count_not_their_images() -> None:
    rng = np.random.default_rng(1)
    level_G = rng.normal(size=12)
    group_N = np.repeat(np.arange(12), 50)
    values = np.exp(level_G[group_N] + 0.01 * rng.normal(size=600))
    by_group, by_image = limits(values, group_N), limits(values)
    assert by_group[0] < by_image[0] < by_image[1] < by_group[1]


def test_what_never_varied_is_exact_where_it_must_be_and_has_room_where_it_may() -> None:
    same = np.full(20, 64.0)
    low, high = limits(same, name="height")
    assert unusual({"height": 64.0}, {"height": find_limits("height", same, np.arange(20))}) == []  # type: ignore[dict-item]
    assert low == high == 64
    low, high = limits(np.full(20, 0.5), name="brightness")
    assert (low, high) == pytest.approx((0.48, 0.52))


def test_a_few_groups_that_are_alike_do_not_show_how_focus_varies() -> None:
    few, many = (limits(np.full(count, 0.2)) for count in (5, 3000))
    assert few[1] == pytest.approx(0.2 * np.exp(0.08 * (1 / (6 * RATE)) ** TAIL), rel=1e-4)
    assert many[1] == pytest.approx(0.2 * np.exp(0.1), rel=1e-4)


def test_a_fact_that_is_always_zero_is_usual_at_zero() -> None:
    found = find_limits("contrast", np.zeros(20), np.arange(20))
    assert found is not None
    assert unusual({"contrast": 0.0}, {"contrast": found}) == []
    assert len(unusual({"contrast": 0.1}, {"contrast": found})) == 1


def test_too_few_images_say_nothing() -> None:
    assert find_limits("brightness", np.array([0.1, 0.2, np.nan, np.nan, 0.4, 0.5]), np.arange(6)) is None


def test_reasons_are_in_words_with_what_is_usual() -> None:
    found = find_limits("brightness", np.linspace(0.4, 0.6, 30), np.arange(30))
    assert found is not None
    assert unusual({"brightness": 0.5}, {"brightness": found}) == []
    (said,) = unusual({"brightness": 0.01}, {"brightness": found})
    assert said.startswith("brightness 0.01 (usual: 0.")
    assert unusual({}, {"brightness": found}) == []  # unknown is not unusual
    assert set(FACTS) >= {"height", "width", "brightness", "contrast", "sharpness", "level"}
