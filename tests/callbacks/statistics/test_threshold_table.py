"""The sweep's table against scikit-learn and plain counting."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_curve

from callbacks.statistics.curves import count_scores
from callbacks.statistics.threshold_table import precision_recall_f1, threshold_table


@pytest.mark.parametrize("size", [1, 2, 30, 1000])
@pytest.mark.parametrize("decimals", [0, 1, 9])
@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_table_agrees_with_scikit_learn_and_plain_counting(size: int, decimals: int, share: float) -> None:
    generator = np.random.default_rng([size, decimals])
    label = (np.arange(size) < max(1, share * size)).astype(int)
    score = np.round(generator.normal(size=size) + label, decimals)
    table = precision_recall_f1(score, label)
    precision, recall, threshold = precision_recall_curve(label, score)
    np.testing.assert_array_equal(table["threshold"], threshold)
    np.testing.assert_allclose(table["precision"], precision[:-1], atol=1e-12)
    np.testing.assert_allclose(table["recall"], recall[:-1], atol=1e-12)
    for row in table.iloc[:: max(1, len(table) // 20)].itertuples():
        called = score >= row.threshold
        counted = [(called & (label == 1)).sum(), (called & (label == 0)).sum()]
        counted += [(~called & (label == 0)).sum(), (~called & (label == 1)).sum()]
        assert [row.tp, row.fp, row.tn, row.fn] == counted
        assert row.f1 == pytest.approx(f1_score(label, called))


def test_columns_and_types_hold_for_an_empty_table_too() -> None:
    for table in (precision_recall_f1([], []), precision_recall_f1([1.0, 2.0], [0, 1])):
        assert list(table) == ["threshold", "tp", "fp", "tn", "fn", "precision", "recall", "f1"]
        assert [str(kind) for kind in table.dtypes] == ["float64", *["int64"] * 4, *["float64"] * 3]


def test_without_defects_recall_and_f1_are_undefined_and_precision_is_zero() -> None:
    table = precision_recall_f1([1.0, 2.0, 2.0], [0, 0, 0])
    assert table["precision"].eq(0).all()
    assert table[["recall", "f1"]].isna().all(axis=None)


def test_order_of_pictures_and_unknown_ones_make_no_difference() -> None:
    generator = np.random.default_rng(0)
    score, label = generator.integers(0, 9, 50).astype(float), generator.integers(-1, 2, 50)
    order = generator.permutation(50)
    expected = precision_recall_f1(score[label >= 0], label[label >= 0])
    assert precision_recall_f1(score[order], label[order]).equals(expected)


def test_a_thinned_table_keeps_its_ends_and_stays_exact() -> None:
    rng = np.random.default_rng(0)
    counts = count_scores(rng.normal(size=500), rng.integers(0, 2, 500))
    whole, thin = threshold_table(counts), threshold_table(counts, 50)
    assert len(thin) == 50
    assert thin["threshold"].iloc[0] == whole["threshold"].iloc[0]
    assert thin["threshold"].iloc[-1] == whole["threshold"].iloc[-1]
    merged = thin.merge(whole, on="threshold", suffixes=("", "_whole"))
    for column in ("tp", "fp", "tn", "fn", "precision", "recall", "f1"):
        assert (merged[column] == merged[f"{column}_whole"]).all()
