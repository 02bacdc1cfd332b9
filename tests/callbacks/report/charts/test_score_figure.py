from __future__ import annotations

import re

import numpy as np
import pytest

from callbacks.report.charts.score_figure import ScoreSet, bin_edges, score_figure, stack_level
from callbacks.report.charts.svg import padded_range

EMPTY = ScoreSet(np.array([]), np.array([]))


def drawn(test: ScoreSet, calibration: ScoreSet = EMPTY, threshold: float = 3.0, width: float = 680) -> str:
    every = np.concatenate([test.good, test.defective, calibration.good, calibration.defective])
    return score_figure(test, calibration, threshold, padded_range([*every.tolist(), threshold]), width)


@pytest.mark.parametrize("diameter", [4.0, 9.0])
def test_no_mark_covers_another_and_none_floats(diameter: float) -> None:
    x = np.sort(np.random.default_rng(0).normal(100, 20, 200))
    level = stack_level(x, diameter)
    for this in range(level.max() + 1):
        assert (np.diff(x[level == this]) >= diameter).all()
    for index in np.flatnonzero(level):
        below = x[:index][level[:index] == level[index] - 1]
        assert (x[index] - below < diameter).any()


def test_one_mark_per_picture_where_there_is_room() -> None:
    rng = np.random.default_rng(0)
    figure = drawn(ScoreSet(rng.normal(2, 1, 22), rng.normal(4, 1, 5)), ScoreSet(rng.normal(2, 1, 10), np.array([5.0])))
    assert figure.count("<circle") == 32
    assert figure.count("<polygon") == 6


def test_bars_count_every_picture_where_there_is_none() -> None:
    rng = np.random.default_rng(0)
    test = ScoreSet(rng.normal(2, 1, 5000), rng.normal(4, 1, 3))
    figure = drawn(test)
    assert figure.count("<polygon") == 3  # few defects stay visible beside many good ones
    heights = np.array([float(height) for height in re.findall(r'height="([\d.]+)" class="bar"', figure)])
    low, high = padded_range([*test.good.tolist(), *test.defective.tolist(), 3.0])
    count, _ = np.histogram(test.good, bin_edges(low, high, 48))
    assert heights / heights.max() == pytest.approx(count[count > 0] / count.max(), abs=1e-3)


def test_the_corners_are_the_confusion_matrix_with_equality_called_defective() -> None:
    figure = drawn(ScoreSet(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0, 5.0])))
    assert "1 missed, 3 found" in figure
    assert "2 passed, 1 false alarm<" in figure


def test_an_empty_class_is_not_judged() -> None:
    figure = drawn(ScoreSet(np.array([1.0, 2.0]), np.array([])))
    assert "Test: 0 defective" in figure
    assert "missed" not in figure


@pytest.mark.parametrize("width", [340.0, 680.0, 1080.0])
@pytest.mark.parametrize("threshold", [-50.0, 0.0, 2.5, 50.0])
def test_the_threshold_does_not_cross_the_words(width: float, threshold: float) -> None:
    test = ScoreSet(np.linspace(0, 4, 20), np.linspace(1, 5, 20))
    figure = drawn(test, test, threshold, width)
    rule = float(re.search(r'<line x1="([\d.]+)"[^>]*class="threshold"', figure)[1])  # type: ignore[index]  # it is there
    for x, anchor, words in re.findall(
        r'<text x="([\d.]+)" y="[\d.]+" class="label on[^"]*" text-anchor="(\w+)">([^<]*)', figure
    ):
        length = 6.0 * len(words)
        begin = float(x) - (length if anchor == "end" else 0)
        assert not begin < rule < begin + length, words


def test_infinite_scores_stand_at_the_edge() -> None:
    figure = drawn(ScoreSet(np.array([1.0]), np.array([np.inf])))
    assert figure.count("<polygon") == 1
    assert "inf" not in figure
    assert "nan" not in figure
