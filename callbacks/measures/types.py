"""What a model that tells types called the test images, against what people call them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd

from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES

from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datamodules.samples.batch import InspectionBatch

    from .measure import Tested

PASSED = LABEL_NAMES[GOOD]
UNNAMED = "no type"
BETWEEN = "+"  # the types of an image that has defects of several


class Types(ContextMeasure):
    """Counts types as told and as labelled; says nothing where the model tells none."""

    def start(self, tested: Tested) -> None:
        """Start with a model that tells no types."""
        super().start(tested)
        self._typed = False

    def update(self, batch: InspectionBatch) -> None:
        """Note whether the model tells types."""
        self._typed = self._typed or bool(batch.classes)

    def result(self) -> Section:
        """``types`` of metrics.json: the confusion of types, and how well each was told; both as tables, too."""
        pairs = predicted_and_true(self.tested.predictions) if self._typed else []
        if not pairs:
            return Section()
        counts, rates = confusion(pairs), by_type(pairs)
        return Section(
            metrics={"types": {"confusion": counts, "by_type": rates}},
            tables={
                "types": pd.DataFrame([{"type": name, **entry} for name, entry in rates.items()]),
                "types_confused": pd.DataFrame([{"labelled": true, **row} for true, row in counts.items()]),
            },
        )


def predicted_and_true(predictions: pd.DataFrame) -> list[tuple[str, str]]:
    """List for each image with a label what it is, and what the model calls it: a type, ``good``, or ``no type``."""
    if "defect" not in predictions:
        return []
    known = predictions[predictions["label_index"].isin([GOOD, DEFECTIVE])]
    columns = zip(*(known[name] for name in ("label_index", "defect", "verdict", "predicted_type")), strict=True)
    return [
        (
            PASSED if label_index == GOOD else str(defect or UNNAMED),
            PASSED if verdict == PASSED else str(predicted or UNNAMED),
        )
        for label_index, defect, verdict, predicted in columns
    ]


def confusion(pairs: Sequence[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Count images by what they are (rows) and what they are called (columns)."""
    counts = Counter(pairs)
    called = _in_order(predicted for _, predicted in pairs)
    return {
        true: {predicted: counts[true, predicted] for predicted in called}
        for true in _in_order(true for true, _ in pairs)
    }


def by_type(pairs: Sequence[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Say of each type on how many images it is, and which share is called so (recall), and rightly (precision).

    An image with defects of several types is rightly called by any of them.
    """
    names = _in_order(name for pair in pairs for text in pair for name in text.split(BETWEEN))
    return {name: _rates(name, pairs) for name in names if name not in {PASSED, UNNAMED}}


def _rates(name: str, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    of_type = [(true, predicted) for true, predicted in pairs if name in true.split(BETWEEN)]
    called = [true for true, predicted in pairs if predicted == name]
    right = sum(name in true.split(BETWEEN) for true in called)
    found = sum(predicted in true.split(BETWEEN) for true, predicted in of_type)
    return {
        "images": len(of_type),
        "called": len(called),
        "recall": found / len(of_type) if of_type else None,
        "precision": right / len(called) if called else None,
    }


def _in_order(names: Iterable[str]) -> list[str]:
    """Sort names, what is not a type last."""
    return sorted(set(names), key=lambda name: (name == PASSED, name == UNNAMED, name))
