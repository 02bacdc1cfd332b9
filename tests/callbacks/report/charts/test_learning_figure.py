"""The learning curve: every value where it belongs, the kept epoch marked, in any width."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from callbacks.report.charts.learning_figure import learning_figure
from callbacks.report.charts.svg import Axis
from callbacks.report.render import render_report

if TYPE_CHECKING:
    from tests.callbacks.report.conftest import Contents

WIDTH = 680.0
NAME = "AUROC of the calibration images"


def line_of(drawn: str, kind: str) -> np.ndarray:
    """Corners of the polyline of a class, (E, 2) in pixels."""
    found = re.search(rf'<polyline points="([^"]*)" class="curve {kind}"', drawn)
    assert found is not None
    return np.array([[float(number) for number in pair.split(",")] for pair in found[1].split()])


def history(epochs: int, seed: int) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    rng = np.random.default_rng(seed)
    loss = [(epoch, float(1 / epoch + rng.uniform(0, 0.05))) for epoch in range(1, epochs + 1)]
    return loss, [(epoch, float(rng.uniform(0.5, 1))) for epoch in range(1, epochs + 1)]


@pytest.mark.parametrize("epochs", [2, 3, 10, 57, 400])
def test_epochs_are_evenly_spaced_and_values_stand_at_their_heights(epochs: int) -> None:
    loss, objective = history(epochs, epochs)
    drawn = learning_figure(loss, objective, 2, NAME, WIDTH)
    x = Axis(1, epochs, 52, WIDTH - 14)
    for kind, values in (("recall", loss), ("f1", objective)):
        corners = line_of(drawn, kind)
        np.testing.assert_allclose(corners[:, 0], [x(epoch) for epoch, _ in values], atol=0.01)
        value_E = np.array([value for _, value in values])
        scaled_E = np.log10(value_E) if value_E.max() > 20 * value_E.min() else value_E
        slope, start = np.polyfit(scaled_E, corners[:, 1], 1)
        assert slope < 0  # pixels are counted from above
        np.testing.assert_allclose(corners[:, 1], start + slope * scaled_E, atol=0.02)
    assert f'x1="{round(x(2), 2):g}"' in drawn
    assert drawn.count('class="dot"') == 2
    assert "epoch 2 kept" in drawn


def test_a_loss_that_falls_to_a_fraction_is_drawn_by_its_logarithm() -> None:
    loss = [(epoch, 10.0 ** (2 - epoch)) for epoch in range(1, 6)]
    drawn = learning_figure(loss, [], 5, NAME, WIDTH)
    steps = np.diff(line_of(drawn, "recall")[:, 1])
    np.testing.assert_allclose(steps, steps[0], atol=0.02)
    assert "training loss, logarithmic" in drawn
    assert NAME not in drawn


def test_whole_epochs_alone_have_ticks() -> None:
    loss, objective = history(2, 0)
    drawn = learning_figure(loss, objective, 1, NAME, 1080.0)
    names = re.findall(r'class="tick" text-anchor="middle">([^<]*)<', drawn)
    assert names == ["1", "2"]


def test_the_page_shows_it_and_says_which_epoch_was_kept(contents: type[Contents]) -> None:
    loss, objective = history(6, 1)
    rows = {
        epoch: {"train/loss": a, "calibration/objective": b} for (epoch, a), (_, b) in zip(loss, objective, strict=True)
    }
    said = "Kept epoch 4 of 6: it has the highest AUROC of the calibration images, 0.900."
    training = {
        "epochs": 6,
        "kept_epoch": 4,
        "monitor": "calibration/objective",
        "value": 0.9,
        "reason": said,
        "learned": True,
        "headline": "",
        "doubts": [],
    }
    plain = contents.build()
    content = replace(plain, metrics={**plain.metrics, "training": training}, history=rows)
    page = render_report(content)
    assert page.count("epoch 4 kept") == 3  # narrow, middle and wide
    assert said in page
    assert 'id="training"' not in render_report(plain)  # one pass: no epochs, nothing is said
    short = render_report(replace(content, history={1: rows[1]}))
    assert said in short
    assert "Learning curve" not in short
