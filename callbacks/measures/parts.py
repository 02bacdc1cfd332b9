"""Parts of which several images or tiles were tested: a part is defective where any of its images is.

The o-ring system's ``--evaluate`` counts parts: true and false positives and negatives, precision, recall, F1 and
accuracy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from callbacks.statistics.intervals import image_intervals
from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES, UNKNOWN

from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    from callbacks.statistics.bootstrap import Resampling

TABLE = "parts"


class Parts(ContextMeasure):
    """Counts verdicts by part, where parts have several images."""

    def result(self) -> Section:
        """``parts`` of metrics.json, and parts.csv; nothing where every part has one image."""
        predictions = self.tested.predictions
        if predictions.empty or predictions["group"].nunique() == len(predictions):
            return Section()
        table = part_table(predictions)
        return Section(metrics={"parts": part_metrics(table, self.tested.resampling)}, tables={TABLE: table})


def part_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Sum up images by part: ``group, kind, images, label, score, verdict``, the score that of the worst image.

    Args:
        predictions: With ``group, kind, label_index, score, verdict``.
    """
    defective = LABEL_NAMES[DEFECTIVE]
    grouped = predictions.groupby(["group", "kind"], sort=True)
    rows = [
        {
            "group": group,
            "kind": kind,
            "images": len(images),
            "label": LABEL_NAMES[_label(images["label_index"])],
            "score": images["score"].max(),
            "verdict": defective if (images["verdict"] == defective).any() else LABEL_NAMES[GOOD],
        }
        for (group, kind), images in grouped
    ]
    return pd.DataFrame(rows, columns=["group", "kind", "images", "label", "score", "verdict"])


def _label(labels: pd.Series[int]) -> int:
    """Label a part: defective where any image is, unknown where one is and none is defective."""
    if (labels == DEFECTIVE).any():
        return DEFECTIVE
    return UNKNOWN if (labels == UNKNOWN).any() else GOOD


def part_metrics(table: pd.DataFrame, resampling: Resampling) -> dict[str, Any]:
    """Count parts of known label, with the rates that follow.

    Args:
        table: As ``part_table`` makes it.
        resampling: Of the intervals.

    Returns:
        ``count``, ``tp, fp, fn, tn``, ``accuracy``, and ``precision``, ``recall`` and ``f1`` with intervals.
    """
    known = table[table["label"] != LABEL_NAMES[UNKNOWN]]
    true, called = known["label"] == LABEL_NAMES[DEFECTIVE], known["verdict"] == LABEL_NAMES[DEFECTIVE]
    counts = {
        "tp": int((true & called).sum()),
        "fp": int((~true & called).sum()),
        "fn": int((true & ~called).sum()),
        "tn": int((~true & ~called).sum()),
    }
    verdict_N, label_N = called.to_numpy(np.float64), true.to_numpy(np.int64)
    rates = image_intervals(verdict_N, label_N, known["group"].to_numpy(str), threshold=0.5, resampling=resampling)
    accuracy = (counts["tp"] + counts["tn"]) / len(known) if len(known) else None
    chosen = {name: rates[name] for name in ("precision", "recall", "f1")}
    return {"count": len(known), **counts, "accuracy": accuracy, **chosen}
