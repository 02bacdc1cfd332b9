from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, precision_score

from callbacks.report.facts import (
    MARKING,
    Confusion,
    Part,
    confusion,
    headline,
    kind_thresholds,
    parts_by,
    threshold_of,
    verdict,
    worst_kind,
)

if TYPE_CHECKING:
    from tests.callbacks.report.conftest import Contents


def test_confusion_agrees_with_scikit_learn_and_leaves_unknown_ones_out(contents: type[Contents]) -> None:
    predictions = contents.predictions(40, 17, unknown=5)
    known = predictions[predictions["label_index"] >= 0]
    counts = confusion(predictions)
    called = known["score"] >= 3.0
    expected = confusion_matrix(known["label_index"], called, labels=[0, 1])
    assert np.array_equal([[counts.tn, counts.fp], [counts.fn, counts.tp]], expected)
    assert counts.precision == pytest.approx(precision_score(known["label_index"], called))
    assert counts.f1 == pytest.approx(f1_score(known["label_index"], called))


def test_thresholds_are_read_in_both_forms_of_calibration(contents: type[Contents]) -> None:
    flat = contents.build().calibration
    scoped = {"image": {"all": flat["image"], "kind": {"M4": {"value": 2.5}}}, "pixel": {"all": flat["pixel"]}}
    for calibration in (flat, scoped):
        chosen = threshold_of(calibration, "image")
        assert chosen is not None
        assert chosen["value"] == 3.0
    assert (kind_thresholds(flat), kind_thresholds(scoped)) == ({}, {"M4": 2.5})
    assert threshold_of({"image": None}, "image") is None


def test_rates_without_pictures_are_undefined() -> None:
    nothing = Confusion(0, 0, 0, 0)
    assert {nothing.recall, nothing.fpr, nothing.precision, nothing.passed_rightly, nothing.f1} == {None}


@pytest.mark.parametrize("column", ["kind", "defect"])
def test_parts_add_up_to_the_whole(contents: type[Contents], column: str) -> None:
    predictions = contents.predictions(40, 17, unknown=3)
    parts, whole = parts_by(predictions, column), confusion(predictions)
    assert len(parts) == 2
    assert sum(part.confusion.tp for part in parts) == whole.tp
    assert sum(part.confusion.fn for part in parts) == whole.fn
    assert sum(part.confusion.fp for part in parts) == (whole.fp if column == "kind" else 0)
    for part in parts:
        low, high = part.recall_range
        assert low <= (part.confusion.recall or 0) <= high


def test_one_kind_is_not_a_comparison(contents: type[Contents]) -> None:
    assert parts_by(contents.predictions(5, 5).assign(kind="M6"), "kind") == []
    assert parts_by(contents.predictions(5, 5).assign(kind=None), "kind") == []


@pytest.mark.parametrize(
    ("good", "defective", "scores", "expected"),
    [
        (2, 2, [1, 3, 3, 4], "Finds 2 of 2 defective pictures and raises 1 false alarm among 2 good ones."),
        (1, 1, [1, 1], "Finds 0 of 1 defective picture and raises no false alarm among 1 good one."),
        (2, 0, [3, 3], "Raises 2 false alarms among 2 good pictures. The test holds no defective picture"),
        (0, 2, [3, 1], "Finds 1 of 2 defective pictures. The test holds no good picture"),
        (0, 0, [], "The test holds no labelled picture"),
    ],
)
def test_verdict_in_plain_words(
    contents: type[Contents], good: int, defective: int, scores: list[float], expected: str
) -> None:
    predictions = contents.predictions(good, defective).assign(
        verdict=["defective" if score >= 3 else "good" for score in scores]
    )
    assert verdict(confusion(predictions)).startswith(expected)


def part(name: str, tp: int, fp: int, tn: int, fn: int) -> Part:
    return Part(name, Confusion(tp, fp, tn, fn), (0.0, 1.0), (0.0, 1.0))


def test_the_headline_says_the_worst_kind() -> None:
    whole = Confusion(18, 2, 58, 2)
    kinds = [part("air", 8, 0, 20, 0), part("oil", 10, 2, 38, 2)]
    assert headline(whole, {}, kinds) == (
        "Finds 18 of 20 defective pictures and raises 2 false alarms among 60 good ones. "
        "Least well on kind oil: finds 10 of 12 defective pictures and raises 2 false alarms among 40 good ones."
    )
    assert headline(whole, {}, [part("a", 1, 1, 1, 1), part("b", 2, 2, 2, 2)]) == verdict(whole)
    assert headline(whole, {}) == verdict(whole)


def test_kinds_come_the_worst_first_and_defects_by_name(contents: type[Contents]) -> None:
    predictions = contents.predictions(6, 6).assign(kind=["a", "b", "c"] * 4)
    bad = predictions["kind"] == "b"
    predictions.loc[bad, "verdict"] = predictions.loc[bad, "label_index"].map({0: "defective", 1: "good", -1: "good"})
    predictions.loc[~bad, "verdict"] = predictions.loc[~bad, "label_index"].map({0: "good", 1: "defective", -1: "good"})
    assert [one.name for one in parts_by(predictions, "kind")] == ["b", "a", "c"]


def test_models_that_learn_from_masks_are_headed_by_how_well_they_mark() -> None:
    estimate = {"value": 0.81, "low": 0.7, "high": 0.9}
    metrics = {"test": {"pixel_dice": estimate, "boundary_f1": estimate}}
    whole = Confusion(3, 0, 4, 1)
    assert headline(whole, metrics) == verdict(whole)
    assert headline(whole, metrics | {"purpose": MARKING}).startswith(
        "Marks what the masks mark with a Dice of 0.810 (0.700 to 0.900) and a boundary F1 of 0.810 (0.700 to 0.900). "
        "Finds 3 of 4"
    )
    assert headline(whole, {"test": {}, "purpose": MARKING}) == verdict(whole)


def test_of_a_kind_with_one_class_nothing_is_said_of_the_test() -> None:
    oil, water = Confusion(0, 3, 1, 0), Confusion(4, 0, 9, 0)
    kinds = [Part(name, counts, (0.0, 1.0), (0.0, 1.0)) for name, counts in (("oil", oil), ("water", water))]
    assert worst_kind(kinds) == "Least well on kind oil: raises 3 false alarms among 4 good pictures."
