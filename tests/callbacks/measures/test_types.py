"""Types as told and as labelled: the confusion, and rates held against scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_score, recall_score

from callbacks.measures.types import by_type, confusion, predicted_and_true

NAMES = ("cut", "hole", "tear")


def predictions(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    label = rng.choice([0, 1, 1, -1], 80)
    called = rng.random(80) < 0.7
    return pd.DataFrame(
        {
            "label_index": label,
            "defect": np.where(label == 1, rng.choice(NAMES, 80), ""),
            "verdict": np.where(called, "defective", "good"),
            "predicted_type": np.where(called, rng.choice([*NAMES, ""], 80), ""),
        }
    )


@pytest.mark.parametrize("seed", range(5))
def test_rates_are_those_of_scikit_learn(seed: int) -> None:
    pairs = predicted_and_true(predictions(seed))
    true, told = zip(*pairs, strict=True)
    rates = by_type(pairs)
    assert list(rates) == list(NAMES)
    for name, rate in rates.items():
        assert rate["recall"] == pytest.approx(recall_score(true, told, labels=[name], average="micro"))
        assert rate["precision"] == pytest.approx(precision_score(true, told, labels=[name], average="micro"))


def test_the_confusion_counts_every_labelled_image_once() -> None:
    table = predictions(1)
    counts = confusion(predicted_and_true(table))
    assert sum(sum(row.values()) for row in counts.values()) == (table["label_index"] >= 0).sum()
    assert list(counts) == [*NAMES, "good"]


def test_an_image_of_several_types_is_rightly_called_by_any() -> None:
    rates = by_type([("cut+hole", "hole"), ("cut+hole", "tear"), ("cut", "good")])
    assert rates["hole"]["precision"] == 1
    assert rates["hole"]["recall"] == rates["cut"]["images"] - 2.5 == pytest.approx(0.5)
    assert rates["tear"]["precision"] == 0
    assert rates["tear"]["recall"] is None
