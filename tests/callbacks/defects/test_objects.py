"""Object level: what counts as found and as false, and intervals by group."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson

from callbacks.defects.image_scale import ImageScale
from callbacks.defects.objects import (
    IMAGE_COLUMNS,
    MARKED_COLUMNS,
    false_rate,
    marked_objects,
    object_metrics,
    touched,
)
from callbacks.statistics.bootstrap import Resampling

RESAMPLING = Resampling(300)


def square(top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((40, 40), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_a_defect_is_found_where_enough_of_it_is_covered() -> None:
    mask = square(2, 2, 10) | square(20, 20, 4)
    label = np.zeros((40, 40), np.int32)
    label[2:4, 2:7] = 1  # ten of a hundred pixels
    label[30:34, 2:6] = 2  # touches nothing
    rows = marked_objects(mask, label, ImageScale(2.0, 3.0), None, overlap=0.1)
    assert [(row["area"], row["covered"], row["found"]) for row in rows] == [(600, 0.1, True), (96, 0.0, False)]
    assert not marked_objects(mask, label, ImageScale(), None, overlap=0.11)[0]["found"]
    assert touched(mask, label) == {1}


def test_the_zone_is_where_most_of_it_lies() -> None:
    zones = np.full((40, 40), 1, np.uint8)
    zones[:, 5:] = 3
    (row,) = marked_objects(square(2, 2, 8), np.zeros((40, 40), np.int32), ImageScale(), zones, 0.1)
    assert row["zone"] == 3


def tables(groups: int = 40, seed: int = 0, names: str = "part") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Groups of three images: two good ones with a false object now and then, and one with four defects."""
    generator = np.random.default_rng(seed)
    marked, pictures = [], []
    for group in range(groups):
        name = f"{names} {group}"
        ease = generator.random()
        pictures += [(f"{name}/{number}", name, True, int(generator.random() < 0.3)) for number in range(2)]
        pictures.append((f"{name}/2", name, False, int(generator.random() < 0.5)))
        for size in (2, 3, 10, 30):
            covered = float(generator.random() < ease * min(size / 10, 1))
            kind = "pit" if size < 5 else "scratch"
            marked.append((f"{name}/2", name, "", size**2, float(size), size % 3, covered, covered >= 0.1, kind))
    return pd.DataFrame(marked, columns=list(MARKED_COLUMNS)), pd.DataFrame(pictures, columns=list(IMAGE_COLUMNS))


def test_recall_by_size_type_and_zone_adds_up() -> None:
    marked, pictures = tables()
    metrics = object_metrics(marked, pictures, 0.1, RESAMPLING)
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics  # nothing but plain values
    assert metrics["defects"] == 160
    assert metrics["recall"]["value"] == marked["found"].mean()
    for table in ("by_size", "by_type", "by_zone"):
        rows = metrics[table]
        assert sum(row["defects"] for row in rows) == (160 if table != "by_zone" else (marked["zone"] > 0).sum())
        for row in rows:
            assert row["recall"]["low"] <= row["recall"]["value"] <= row["recall"]["high"]
            assert row["recall"]["value"] == row["found"] / row["defects"]
    assert [(row["from"], row["below"]) for row in metrics["by_size"]] == [(2, 4), (8, 16), (16, 32)]
    assert {row["type"] for row in metrics["by_type"]} == {"pit", "scratch"}
    good = pictures[pictures["good"]]
    assert metrics["false_per_good_picture"]["value"] == good["false_objects"].mean()
    assert metrics["false_per_picture"]["value"] == pytest.approx(pictures["false_objects"].mean())
    assert metrics["false_per_picture"]["pictures"] == 120


def test_neither_names_nor_order_change_a_figure() -> None:
    marked, pictures = tables()
    expected = object_metrics(marked, pictures, 0.1, RESAMPLING)
    for table in (marked, pictures):
        table["group"] = ["x" + str(name)[::-1] for name in table["group"]]
    shuffled = marked.sample(frac=1, random_state=1), pictures.sample(frac=1, random_state=2)
    assert object_metrics(*shuffled, 0.1, RESAMPLING) == expected


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """The population's recall is known; nine in ten intervals at 90 % should hold it."""
    truth = np.mean([tables(4000, seed=99)[0]["found"].mean() for _ in range(1)])
    held = 0
    for seed in range(60):
        recall = object_metrics(*tables(40, seed), 0.1, Resampling(200, 0.9))["recall"]
        held += recall["low"] <= truth <= recall["high"]
    assert held >= 45


def test_without_a_false_object_the_interval_is_poissons() -> None:
    estimate = false_rate(np.zeros(30), np.ones(30), np.ones((5, 30)), 0.95)
    assert (estimate.value, estimate.low) == (0.0, 0.0)
    assert poisson.cdf(0, 30 * estimate.high) == pytest.approx(0.025)


def test_a_set_without_defects_or_pictures_says_so() -> None:
    _, pictures = tables(5)
    nothing = pd.DataFrame(columns=list(MARKED_COLUMNS))
    metrics = object_metrics(nothing, pictures, 0.1, RESAMPLING)
    assert metrics["recall"] == {"value": None, "low": None, "high": None}
    assert (metrics["defects"], metrics["by_size"], metrics["by_type"]) == (0, [], [])
    assert metrics["false_per_picture"]["value"] is not None
