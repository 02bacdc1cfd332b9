from __future__ import annotations

import pytest

from callbacks.report.breaking import breakable
from callbacks.report.wording import (
    DASH,
    defined,
    distance,
    percent,
    plural,
    score,
    score_decimals,
    share,
    span,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0, "1.000"),
        (0.99999, "> 0.999"),
        (0.0, "0.000"),
        (1e-9, "< 0.001"),
        (0.5, "0.500"),
        (None, DASH),
        (float("nan"), DASH),
    ],
)
def test_share_never_rounds_to_certainty(value: float | None, expected: str) -> None:
    assert share(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0, "100 %"),
        (0.9999, "> 99.9 %"),
        (0.0, "0 %"),
        (1e-9, "< 0.1 %"),
        (0.455, "45.5 %"),
        (0.9, "90.0 %"),
        (None, DASH),
    ],
)
def test_percent_never_rounds_to_certainty(value: float | None, expected: str) -> None:
    assert percent(value) == expected


def test_an_interval_says_its_unit_once() -> None:
    assert span(0.1, 0.25, as_percent=True) == "10.0 to 25.0 %"
    assert span(0.1, 0.25) == "0.100 to 0.250"


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0, 1000, 0), (0, 50, 2), (0, 1, 3), (0, 0.001, 6), (5, 5, 3), (0, float("inf"), 3)]
)
def test_scores_show_a_thousandth_of_their_range(low: float, high: float, expected: int) -> None:
    assert score_decimals(low, high) == expected


def test_scores_and_distances() -> None:
    assert score(-2.5, 1) == "\N{MINUS SIGN}2.5"
    assert score(float("inf"), 2) == "\N{INFINITY}"
    assert distance(3.5, 3.0, 2) == "0.50 above the threshold"
    assert distance(3.0, 3.0, 2) == "just above the threshold"  # at the threshold is called defective
    assert distance(2.9999, 3.0, 2) == "just below the threshold"


def test_counts_and_missing_numbers() -> None:
    assert [plural(count, "picture") for count in (0, 1, 1204)] == ["0 pictures", "1 picture", "1,204 pictures"]
    assert defined(None) is None
    assert defined(float("nan")) is None
    assert defined(0.0) == 0.0


def test_names_break_after_separators_and_stay_escaped() -> None:
    assert breakable("a/<b>_c.png") == "a/<wbr>&lt;b&gt;_<wbr>c.png"
