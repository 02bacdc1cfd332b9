"""Layers in order: running medians, changes of level, and defects that stay at their place."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import LightningModule

from callbacks.decisions.calibration import Calibration
from callbacks.measures.figures import Chart
from callbacks.measures.measure import Section, Tested
from callbacks.measures.sequences import Sequences, stays
from callbacks.policies.normal import Normal
from callbacks.statistics.sequence import change_point, cumulative_sum, running_median, unbroken

if TYPE_CHECKING:
    import numpy.typing as npt

    from datamodules.samples.batch import InspectionBatch

SIZE = 32


def followed(score: npt.NDArray[np.float64], masks: dict[int, list[tuple[int, int]]], step: int = 1) -> Section:
    """Show the layers of one build to the measure, in an order of chance; masks: squares of 4 by their corners."""
    rng = np.random.default_rng(0)
    layers = (np.arange(len(score)) + 1) * step
    names = [f"{rng.integers(1_000_000):06}_{layer}" for layer in layers]
    samples = pd.DataFrame({"name": names, "layer": layers, "height": 2 * SIZE, "width": 4 * SIZE, "group": "b"})
    predictions = pd.DataFrame({"name": names, "group": "b", "score": score, "verdict": "good"})
    predictions = predictions.sort_values("name", ignore_index=True)
    measure = Sequences()
    tested = Tested(LightningModule(), Calibration(Normal(), Normal()), samples, predictions=predictions)
    measure.start(tested)
    for index in rng.permutation(len(names)):
        mask = torch.zeros(1, SIZE, SIZE, dtype=torch.bool)
        for top, left in masks.get(int(layers[index]), []):
            mask[0, top : top + 4, left : left + 4] = True
        batch: Any = SimpleNamespace(name=[names[index]], pred_mask=mask, image=torch.zeros(1, 3, SIZE, SIZE))
        measure.update(cast("InspectionBatch", batch))
    return measure.result()


def test_a_step_is_found_where_it_was_made() -> None:
    score = np.random.default_rng(1).normal(size=60)
    score[40:] += 3
    section = followed(score, {})
    (change,) = section.tables["sequence_changes"].to_dict("records")
    assert abs(change["from_layer"] - 41) <= 1
    assert bool(change["changed"])
    assert change["p"] < 0.01
    assert change["after"] - change["before"] == pytest.approx(3, abs=0.8)
    assert section.metrics["sequences"] == {"sequences": 1, "layers": 60, "changed": 1, "persistent": 0}
    (chart,) = section.figures
    assert isinstance(chart, Chart)
    assert list(chart.lines[0].y_P) == score.tolist()


def test_chance_is_called_a_change_as_seldom_as_it_says() -> None:
    rng = np.random.default_rng(2)
    p = [found.p for _ in range(200) if (found := change_point(rng.normal(size=25), orders=99)) is not None]
    assert len(p) == 200
    assert np.mean(np.array(p) <= 0.05) < 0.1


def test_single_outliers_make_no_change() -> None:
    score = np.random.default_rng(3).normal(size=60)
    score[[10, 30, 50]] += 1000.0
    assert not followed(score, {}).tables["sequence_changes"]["changed"].any()


def test_the_running_median_equals_pandas() -> None:
    score = np.random.default_rng(4).normal(size=30)
    padded = pd.Series(np.pad(score, 2, mode="edge"))
    assert running_median(score, 5) == pytest.approx(padded.rolling(5, center=True).median().to_numpy()[2:-2])
    assert cumulative_sum(score)[-1] == pytest.approx(0, abs=1e-9)


def test_defects_that_stay_are_listed_and_others_are_not() -> None:
    masks = {layer: [(4, 8)] for layer in (20, 40, 60, 80)} | {100: [(20, 20)], 120: [(4, 8)]}
    masks[60].append((20, 20))
    (stay,) = followed(np.zeros(8), masks, step=20).tables["persistent_defects"].to_dict("records")
    assert stay == {
        "group": "b", "first_layer": 20, "last_layer": 80, "layers": 4, "x": 40.0, "y": 12.0, "area": 16 * 2 * 4.0
    }  # fmt: skip


def test_a_defect_that_wanders_with_overlap_stays_and_one_beside_does_not() -> None:
    mask = np.zeros((3, SIZE, SIZE), dtype=np.bool_)
    for layer in range(3):
        mask[layer, 4:8, 4 + 3 * layer : 8 + 3 * layer] = True  # each shares a column with the one before
        mask[layer, 20:24, 4 + 4 * layer : 8 + 4 * layer] = True  # each begins where the one before ends
    (stay,) = stays(mask, 3)
    assert (stay.first, stay.last, stay.y, stay.area) == (0, 2, 5.5, 16.0)


def test_a_missing_layer_breaks_a_sequence() -> None:
    assert unbroken(np.array([20, 40, 60, 100, 120])) == [(0, 3), (3, 5)]
    assert unbroken(np.array([7])) == [(0, 1)]


def test_images_without_layers_say_nothing() -> None:
    measure = Sequences()
    predictions = pd.DataFrame({"name": ["a"], "group": ["a"], "score": [1.0], "verdict": ["good"]})
    samples = pd.DataFrame({"name": ["a"]})
    measure.start(Tested(LightningModule(), Calibration(Normal(), Normal()), samples, predictions=predictions))
    assert measure.result() == Section()
