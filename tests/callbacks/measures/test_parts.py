"""Parts of several images: defective where any image is, and counted as the o-ring system's evaluation counts them."""

from __future__ import annotations

import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from callbacks.measures.parts import part_metrics, part_table
from callbacks.statistics.bootstrap import Resampling

TILES = pd.DataFrame(
    [
        ("a", 0, 0.1, "good"),
        ("a", 1, 0.9, "defective"),  # found
        ("b", 1, 0.2, "good"),
        ("b", 0, 0.7, "defective"),  # on another tile: of the part, found all the same
        ("c", 1, 0.1, "good"),
        ("c", 0, 0.0, "good"),  # missed
        ("d", 0, 0.8, "defective"),
        ("d", 0, 0.1, "good"),  # a false alarm
        *[(f"e{number}", 0, 0.1, "good") for number in range(4)],
        ("f", 0, 0.1, "good"),
        ("f", -1, 0.9, "defective"),  # nobody knows
    ],
    columns=["group", "label_index", "score", "verdict"],
).assign(kind="model1")


def test_parts_are_counted_as_scikit_learn_counts_them() -> None:
    table = part_table(TILES)
    assert dict(zip(table["group"], table["verdict"], strict=True)) == {
        "a": "defective", "b": "defective", "c": "good", "d": "defective", "f": "defective",
        **{f"e{number}": "good" for number in range(4)},
    }  # fmt: skip
    assert table.set_index("group").loc["f", "label"] == "unknown"
    assert table.set_index("group").loc["b", "score"] == 0.7
    metrics = part_metrics(table, Resampling(resamples=50))
    true, called = [1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0, 0]
    assert [metrics[name] for name in ("count", "tp", "fp", "fn", "tn")] == [8, 2, 1, 1, 4]
    assert metrics["precision"].value == pytest.approx(precision_score(true, called))
    assert metrics["recall"].value == pytest.approx(recall_score(true, called))
    assert metrics["f1"].value == pytest.approx(f1_score(true, called))
    assert metrics["accuracy"] == pytest.approx(accuracy_score(true, called))


def test_without_known_parts_there_are_no_rates() -> None:
    metrics = part_metrics(part_table(TILES[TILES["group"] == "f"]), Resampling(resamples=20))
    assert (metrics["count"], metrics["accuracy"]) == (0, None)
