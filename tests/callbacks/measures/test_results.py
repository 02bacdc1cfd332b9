"""Sections put together: everything is kept once, and nothing takes the place of anything else."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from callbacks.measures.evaluation import Evaluation
from callbacks.measures.figures import Chart, Examples, ImageFigure, Line
from callbacks.measures.measure import Section
from callbacks.measures.plain import plain_values
from callbacks.measures.results import Results
from callbacks.measures.standard import standard_measures
from callbacks.statistics.bootstrap import Estimate
from datamodules.errors import DataError
from tools.configuring.build import build
from tools.configuring.config import compose_config
from tools.errors import ConfigError


def results() -> Results:
    return Results(pd.DataFrame({"name": ["a", "b", "c"], "score": [1.0, 2.0, 3.0]}))


def test_sections_are_put_together() -> None:
    found = results()
    chart = Chart("Lines", "x", "y", [Line("one", [0, 1], [1, 0])])
    found.add(Section({"test": {"image_auroc": Estimate(0.9, 0.8, float("nan"))}}, figures=[chart]), "one")
    found.add(
        Section({"test": {"pixel_f1": np.float32(0.5)}, "own": [1, 2]}, columns={"rank": [3, 1, 2]}, notes=["Look."]),
        "two",
    )
    found.add(Section(environment={"costs": {"a": 1}}, tables={"own": found.predictions}), "three")
    found.add(Section(environment={"costs": {"b": 2}}), "four")
    assert found.metrics == {
        "test": {"image_auroc": {"value": 0.9, "low": 0.8, "high": None}, "pixel_f1": 0.5},
        "own": [1, 2],
    }
    assert found.environment == {"costs": {"a": 1, "b": 2}}
    assert found.predictions["rank"].tolist() == [3, 1, 2]
    assert found.notes == ["Look."]
    assert (found.figure(Chart), found.figure(ImageFigure), found.figure(Examples)) == (chart, None, None)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (Section({"test": {"a": 2}}), "test.a"),
        (Section({"flat": 2}), "'flat'"),
        (Section(tables={"t": pd.DataFrame()}), "t, which another"),
        (Section(files={"f": ""}), "f, which another"),
        (Section(columns={"score": [1, 2, 3]}), "'score'"),
        (Section(columns={"new": [1, 2]}), "each of 3 test images, but found 2"),
        (Section({"odd": object()}), "numbers, words, estimates"),
    ],
)
def test_nothing_takes_the_place_of_anything_else(second: Section, expected: str) -> None:
    found = results()
    found.add(Section({"test": {"a": 1}, "flat": 1}, {"t": pd.DataFrame()}, files={"f": ""}), "first")
    with pytest.raises(DataError, match=rf"measures\.second: .*{expected}"):
        found.add(second, "second")


@pytest.mark.parametrize("seed", range(5))
def test_plain_values_are_json(seed: int) -> None:
    rng = np.random.default_rng(seed)
    leaves: list[Any] = [np.float64(rng.normal()), float("nan"), np.int64(3), True, None, "word", float("inf")]
    leaves += [np.arange(3), Estimate(0.5, float("nan"), 1.0)]
    values = {f"k{index}": leaves[int(rng.integers(len(leaves)))] for index in range(12)} | {"all": leaves, 1: {}}
    plain = plain_values(values)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["all"][:7] == [float(leaves[0]), None, 3, True, None, "word", None]
    assert plain["all"][7:] == [[0, 1, 2], {"value": 0.5, "low": None, "high": 1.0}]


def test_the_config_begins_with_what_old_runs_were_measured_by() -> None:
    evaluation = build(compose_config("train", []).callbacks.evaluation, "callbacks.evaluation")
    known = {name: type(measure) for name, measure in standard_measures().items()}
    named = {name: type(measure) for name, measure in evaluation.measures.items()}
    assert list(named)[: len(known)] == list(known)
    assert named | known == named
    assert list(Evaluation().measures) == list(known)


def test_measures_can_be_left_out() -> None:
    entry = compose_config("train", ["callbacks.evaluation.measures.pixels=null"]).callbacks.evaluation
    assert "pixels" not in build(entry, "callbacks.evaluation").measures


@pytest.mark.parametrize("value", [3, "word", {"_target_": "callbacks.policies.f1.F1"}])
def test_what_is_no_measure_is_refused_before_training(value: object) -> None:
    entry = {"_target_": "callbacks.measures.evaluation.Evaluation", "measures": {"mine": value}}
    with pytest.raises(ConfigError, match=r"callbacks\.evaluation\.measures(\.mine)? to be "):
        build(OmegaConf.create(entry), "callbacks.evaluation")
