from __future__ import annotations

import numpy as np
import pytest

from callbacks.report.charts.svg import (
    Axis,
    decimals_of,
    element,
    figure,
    nice_step,
    nice_ticks,
    padded_range,
    pixels,
    tick_label,
)


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.13, 0.97, 5, [0.2, 0.4, 0.6, 0.8]),
        (-3, 3, 6, [-3, -2, -1, 0, 1, 2, 3]),
        (17.2, 55.1, 5, [20, 30, 40, 50]),
        (0, 12_345, 3, [0, 5000, 10_000]),
        (1e-7, 5e-7, 4, [1e-7, 2e-7, 3e-7, 4e-7, 5e-7]),
    ],
)
def test_ticks_are_round_numbers_inside_the_range(low: float, high: float, count: int, expected: list[float]) -> None:
    assert nice_ticks(low, high, count) == pytest.approx(expected)


def test_ticks_over_many_ranges_are_evenly_spaced_inside_and_not_too_many() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        low = rng.normal() * 10.0 ** rng.integers(-6, 7)
        span = 10.0 ** rng.uniform(-6, 6)
        count = int(rng.integers(2, 12))
        ticks, step = nice_ticks(low, low + span, count), nice_step(span, count)
        assert len(ticks) <= count + 1
        assert all(low - 1e-8 * step <= tick <= low + span + 1e-8 * step for tick in ticks)
        assert np.diff(ticks) == pytest.approx(np.full(max(len(ticks) - 1, 0), step), rel=1e-6, abs=1e-14 * abs(low))
        assert step / 10.0 ** np.floor(np.log10(step) + 1e-9) == pytest.approx(
            round(step / 10.0 ** np.floor(np.log10(step) + 1e-9))
        )


@pytest.mark.parametrize(
    ("value", "step", "expected"),
    [(0.2, 0.2, "0.2"), (-5, 5, "\N{MINUS SIGN}5"), (0.05, 0.05, "0.05"), (2e7, 1e7, "2e+07"), (100, 50, "100")],
)
def test_tick_labels(value: float, step: float, expected: str) -> None:
    assert tick_label(value, step) == expected


def test_decimals_tell_neighbours_apart() -> None:
    for step in (0.001, 0.002, 0.005, 0.1, 1.0, 20.0, 500.0):
        assert f"{3 * step:.{decimals_of(step)}f}" != f"{4 * step:.{decimals_of(step)}f}"
        assert float(f"{7 * step:.{decimals_of(step)}f}") == pytest.approx(7 * step)


def test_axis_maps_ends_to_ends_and_keeps_what_lies_outside_at_the_edge() -> None:
    up = Axis(0, 10, 200, 20)
    assert (up(0), up(10), up(5)) == (200, 20, 110)
    assert up(float("inf")) == 20
    assert up(-3) == 200


@pytest.mark.parametrize("values", [[], [3.0], [0.0], [float("inf"), float("-inf")], [1.0, 2.0, float("inf")]])
def test_padded_range_always_has_width_and_holds_the_finite_values(values: list[float]) -> None:
    low, high = padded_range(values)
    assert np.isfinite([low, high]).all()
    assert all(low < value < high for value in values if np.isfinite(value))
    assert low < high


def test_text_and_attributes_are_escaped_but_children_are_not_twice() -> None:
    inner = element("b", {"title": "<\"&'"}, "<script>")
    assert inner == '<b title="&lt;&#34;&amp;&#39;">&lt;script&gt;</b>'
    assert element("g", None, inner) == f"<g>{inner}</g>"


def test_pixels_are_short_and_never_minus_zero() -> None:
    assert [pixels(value) for value in (1.0, 1.256, -0.001, 100.0, -2.5)] == ["1", "1.26", "0", "100", "-2.5"]


def test_a_figure_says_in_words_what_it_shows() -> None:
    drawn = figure(100, 50, "Scores", "3 good ones")
    assert 'viewBox="0 0 100 50"' in drawn
    assert 'role="img"' in drawn
    assert 'aria-label="Scores. 3 good ones"' in drawn
