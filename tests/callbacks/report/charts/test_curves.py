from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from callbacks.report.charts.curves import (
    Interval,
    colour_scale,
    interval_bar,
    precision_recall_figure,
    roc_figure,
    rows_to_draw,
    step_corners,
    threshold_figure,
)
from callbacks.report.charts.svg import Axis
from callbacks.statistics.threshold_table import precision_recall_f1

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH = 540.0
X, Y = Axis(0, 1, 34, WIDTH - 10), Axis(0, 1, 330 - 46, 24)  # of the two unit figures


def scores(seed: int, *, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = np.array([0, 1, *rng.integers(0, 2, 60)])
    score = rng.normal(label * 1.2, 1).astype(np.float32)
    return (np.round(score, 0) if ties else score), label


def line_of(drawn: str, kind: str) -> np.ndarray:
    """Corners of the polyline of a class, (K, 2) in pixels."""
    found = re.search(rf'<polyline points="([^"]*)" class="{kind}"', drawn)
    assert found is not None
    return np.array([[float(number) for number in pair.split(",")] for pair in found[1].split()])


def area_under(corners: np.ndarray) -> float:
    x = (corners[:, 0] - X.start) / (X.end - X.start)
    y = (corners[:, 1] - Y.start) / (Y.end - Y.start)
    return float(np.trapezoid(y, x))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_area_under_the_drawn_roc_is_the_auroc(seed: int, ties: bool) -> None:
    score, label = scores(seed, ties=ties)
    drawn = roc_figure(precision_recall_f1(score, label), (0.1, 0.9), WIDTH)
    assert area_under(line_of(drawn, "curve f1")) == pytest.approx(roc_auc_score(label, score), abs=1e-3)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_area_under_the_drawn_precision_recall_curve_is_the_average_precision(seed: int, ties: bool) -> None:
    score, label = scores(seed, ties=ties)
    drawn = precision_recall_figure(precision_recall_f1(score, label), (0.9, 0.9), WIDTH)
    assert area_under(line_of(drawn, "curve f1")) == pytest.approx(average_precision_score(label, score), abs=1e-3)


def test_the_operating_point_stands_where_it_should_and_is_left_out_when_nothing_is_called() -> None:
    sweep = precision_recall_f1(*scores(0))
    drawn = roc_figure(sweep, (0.25, 0.75), WIDTH)
    assert f'cx="{X(0.25):g}" cy="{Y(0.75):g}" r="4.5" class="dot"' in drawn
    assert 'class="dot"' not in precision_recall_figure(sweep, None, WIDTH)


@pytest.mark.parametrize(
    ("name", "measure"), [("f1", f1_score), ("precision", precision_score), ("recall", recall_score)]
)
def test_the_drawn_sweep_is_right_between_scores_too(name: str, measure: Callable[..., float]) -> None:
    score, label = scores(1)
    limits = (float(score.min()) - 0.3, float(score.max()) + 0.3)
    drawn = threshold_figure(precision_recall_f1(score, label), 0.5, (0.5, 0.5, 0.5), limits, WIDTH)
    corners = line_of(drawn, f"curve {name}")
    x, y = Axis(*limits, 34, WIDTH - 10), Axis(0, 1, 300 - 46, 24)
    middles = (np.sort(score)[:-1] + np.sort(score)[1:]) / 2
    for threshold in middles[np.diff(np.sort(score)) > 0.02]:
        at = x(float(threshold))
        level = corners[np.flatnonzero(corners[:, 0] >= at)[0], 1]  # flat up to the next corner on the right
        assert level == pytest.approx(y(measure(label, score >= threshold)), abs=0.01)


def test_f1_and_recall_fall_to_zero_beyond_the_highest_score_where_precision_ends() -> None:
    score, label = scores(2)
    limits = (float(score.min()) - 1, float(score.max()) + 1)
    drawn = threshold_figure(precision_recall_f1(score, label), 0.5, (float("nan"), 0, 0), limits, WIDTH)
    highest = Axis(*limits, 34, WIDTH - 10)(float(score.max()))
    assert tuple(line_of(drawn, "curve f1")[-1]) == (WIDTH - 10, 300 - 46)
    assert tuple(line_of(drawn, "curve recall")[-1]) == (WIDTH - 10, 300 - 46)
    assert line_of(drawn, "curve precision")[-1, 0] == pytest.approx(highest, abs=0.01)
    assert drawn.count('class="dot"') == 2  # precision is 0/0


def test_step_corners_hold_each_value_back_to_the_score_before() -> None:
    corners = step_corners(np.array([1.0, 2.0]), np.array([0.5, 0.8]), 0.0, 9.0)
    assert corners == [(0.0, 0.5), (1.0, 0.5), (1.0, 0.8), (2.0, 0.8)]


def test_a_long_sweep_is_thinned_without_losing_an_extreme() -> None:
    rng = np.random.default_rng(0)
    x, curve = np.sort(rng.uniform(0, 500, 100_000)), rng.uniform(0, 1, 100_000)
    kept = rows_to_draw(x, curve)
    assert kept.size <= 4 * 501
    assert {0, x.size - 1, int(curve.argmin()), int(curve.argmax())} <= set(kept.tolist())
    columns = pd.Series(curve).groupby(np.floor(x))
    thinned = pd.Series(curve[kept]).groupby(np.floor(x[kept]))
    pd.testing.assert_frame_equal(columns.agg(["min", "max"]), thinned.agg(["min", "max"]))
    assert rows_to_draw(x[:50], curve[:50]).tolist() == list(range(50))


def test_an_interval_bar_draws_its_numbers() -> None:
    drawn = interval_bar(Interval(0.5, 0.25, 0.75), Interval(0.1, 0, 0.2), "AUROC")
    assert 'x1="40" y1="8" x2="110" y2="8" class="range model"' in drawn
    assert 'cx="75" cy="8" r="4" class="value model"' in drawn
    assert 'class="value baseline"' in drawn
    assert 'class="value baseline"' not in interval_bar(Interval(0.5, 0.25, 0.75), None, "AUROC")


@pytest.mark.parametrize("limits", [(0.0, 1.0), (3.0, 3.0), (-5.0, 1e6)])
def test_the_colour_scale_marks_a_threshold_or_says_that_it_lies_outside(limits: tuple[float, float]) -> None:
    def scale(threshold: float | None) -> str:
        return colour_scale(["rgb(0,0,0)", "rgb(9,9,9)"], limits, threshold, 340)

    assert 'class="threshold"' in scale(limits[0])
    assert "above the scale" in scale(limits[1] + 1e9)
    assert "below the scale" in scale(limits[0] - 1)
    assert 'class="threshold"' not in scale(limits[1] + 1e9) + scale(limits[0] - 1)
    assert "pixel threshold" not in scale(None)
