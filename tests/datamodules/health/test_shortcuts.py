"""Single numbers that tell the labels, held against scikit-learn and against drawn folders."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from datamodules.health.shortcuts import OFF, Shortcut, auroc, find_shortcuts, measures, natural_key


@pytest.mark.parametrize("seed", range(5))
def test_auroc_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    good, defective = rng.integers(0, 12, 30).astype(float), rng.integers(3, 15, 17).astype(float)  # with ties
    label = np.repeat([0, 1], [30, 17])
    assert auroc(good, defective) == pytest.approx(roc_auc_score(label, np.concatenate([good, defective])))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_that_separates_is_found_in_either_direction(sign: int) -> None:
    value = sign * np.arange(40.0)
    label = np.repeat([0, 1], [25, 15])
    (found,) = find_shortcuts({"brightness": value}, label)
    assert found.auroc == (1.0 if sign == 1 else 0.0)
    assert found.separates
    assert not found.leans


def test_defects_on_both_sides_separate_by_their_distance() -> None:
    value = np.concatenate([np.linspace(48, 52, 30), np.linspace(0, 40, 20), np.linspace(60, 100, 20)])
    label = np.repeat([0, 1], [30, 40])
    first, second = find_shortcuts({"brightness": value}, label)
    assert first.measure == "brightness" + OFF
    assert first.separates
    assert second.auroc == pytest.approx(0.5)


def test_chance_is_not_believed() -> None:
    assert not Shortcut("brightness", 1.0, 3, 3).separates
    assert Shortcut("brightness", 1.0, 20, 20).separates
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 100)
    many = {str(index): rng.normal(size=200) for index in range(200)}
    assert not any(one.separates or one.leans for one in find_shortcuts(many, label))


def test_unknown_labels_and_constant_numbers_say_nothing() -> None:
    label = np.array([0, 1, -1, 0, 1])
    assert find_shortcuts({"brightness": np.ones(5)}, label) == []
    assert find_shortcuts({"brightness": np.arange(5.0)}, np.zeros(5, np.int64)) == []
    (found,) = find_shortcuts({"brightness": np.array([0.0, 1, 99, 0, 1])}, label)
    assert (found.first, found.second) == (2, 2)


def table_of(names: list[str]) -> pd.DataFrame:
    numbers = dict.fromkeys(("brightness", "contrast", "sharpness", "channels", "height", "width", "file_bytes"), 1)
    return pd.DataFrame({"name": names}).assign(**numbers)


def test_order_counts_numbers_as_numbers_and_needs_one_numbering() -> None:
    values = measures(table_of(["good/shot10.png", "bad/shot2.png", "good/shot1.png"]))
    assert values["order of files"].tolist() == [2, 1, 0]
    for names in (["good/001.png", "bad/001.png"], ["good_1.png", "scratch_2.png"]):
        assert "order of files" not in measures(table_of(names))
    assert sorted(["a10b", "a2b", "a2"], key=natural_key) == ["a2", "a2b", "a10b"]


def test_place_in_an_array_counts_where_it_is_known() -> None:
    table = table_of(["a.png", "b.png"]).assign(row=[1, 2], col=[np.nan, 3])
    assert "row" in measures(table)
    assert "col" not in measures(table)
