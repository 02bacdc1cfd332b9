"""Wrong verdicts by how images were taken."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lightning import LightningModule
from scipy.stats import binomtest

from callbacks.decisions.calibration import Calibration
from callbacks.measures.conditions import THIRDS, Conditions, wrong_by_third
from callbacks.measures.figures import Chart
from callbacks.measures.measure import Section, Tested
from callbacks.policies.normal import Normal


def found_in(brightness: list[float], wrong: list[bool], unknown: int = 2) -> Section:
    """Judge good images, some wrongly, and some of unknown state, which must not count."""
    names = [f"{index:03}" for index in range(len(wrong) + unknown)]
    predictions = pd.DataFrame(
        {
            "name": names,
            "label_index": [0] * len(wrong) + [-1] * unknown,
            "verdict": ["defective" if one else "good" for one in wrong] + ["defective"] * unknown,
        }
    )
    samples = pd.DataFrame({"name": names, "brightness": brightness + [9.0] * unknown}).sample(frac=1, random_state=0)
    measure = Conditions()
    measure.start(Tested(LightningModule(), Calibration(Normal(), Normal()), samples, predictions=predictions))
    return measure.result()


def test_mistakes_on_dark_images_are_seen() -> None:
    section = found_in([float(index % 30) for index in range(60)], [index % 30 < 10 for index in range(60)])
    rows = section.metrics["wrong_verdicts_by_condition"]
    assert list(rows) == ["brightness"]
    assert [rows["brightness"][third].value for third in THIRDS] == [1.0, 0.0, 0.0]
    (chart,) = section.figures
    assert isinstance(chart, Chart)
    assert [(one.name, list(one.y_P)) for one in chart.lines] == [("brightness", [1.0, 0.0, 0.0])]


def test_few_images_say_nothing() -> None:
    assert found_in([0.0] * 29, [True] * 29) == Section()


@pytest.mark.parametrize("seed", range(4))
def test_shares_and_intervals_equal_another_implementation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    value, wrong = rng.permutation(90).astype(np.float64), rng.random(90) < 0.3
    rows = wrong_by_third(value, wrong, 0.9)
    for index, third in enumerate(THIRDS):
        inside = wrong[(value >= 30 * index) & (value < 30 * index + 30)]
        ends = binomtest(int(inside.sum()), 30).proportion_ci(0.9, "wilson")
        assert (rows[third].value, rows[third].low, rows[third].high) == pytest.approx((inside.mean(), *ends))
