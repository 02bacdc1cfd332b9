"""How well images are told apart and judged: ranking, rates at the threshold, and what each threshold would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from callbacks.statistics.paired import Judged, judged_intervals
from callbacks.statistics.threshold_table import precision_recall_f1
from datamodules.table import DEFECTIVE, LABEL_NAMES, UNKNOWN

from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    import pandas as pd

    from callbacks.statistics.bootstrap import Estimate, Resampling

RATES = ("precision", "recall", "f1", "fpr")  # of decisions, not of scores
REPORTED_AS = {
    "auroc": "auroc",
    "average_precision": "ap",
    "f1": "f1",  # at the calibrated threshold
    "best_f1": "f1_max",  # at the best threshold in hindsight: optimistic, for comparison with papers
    "precision": "precision",
    "recall": "recall",
    "fpr": "fpr",
    "aupro": "aupro_0.3",
    "aupro_05": "aupro_0.05",
}
THRESHOLDS = "sweep"
"""The table of every distinct score as a threshold, named as other programs know its file."""


class Images(ContextMeasure):
    """Judges scores and verdicts of images; counts the images by label."""

    def result(self) -> Section:
        """``test`` and ``pictures`` of metrics.json, and sweep.csv."""
        predictions = self.tested.predictions
        labels = predictions["label_index"]
        counts = {LABEL_NAMES[index]: int((labels == index).sum()) for index in LABEL_NAMES}
        return Section(
            metrics={"test": image_estimates(predictions, self.tested.resampling), "pictures": counts},
            tables={THRESHOLDS: precision_recall_f1(predictions["score"].to_numpy(), labels.to_numpy())},
        )


def image_estimates(predictions: pd.DataFrame, resampling: Resampling) -> dict[str, Estimate]:
    """Judge scores and verdicts of the images whose truth is known; verdicts may rest on several thresholds."""
    known = predictions[predictions["label_index"] != UNKNOWN]
    verdict_N = (known["verdict"] == LABEL_NAMES[DEFECTIVE]).to_numpy()
    judged = Judged(known["score"].to_numpy(np.float64), verdict_N)
    label_N, group_N = known["label_index"].to_numpy(np.int64), known["group"].to_numpy(str)
    estimates = judged_intervals(judged, label_N, group_N, resampling)
    return {f"image_{REPORTED_AS[name]}": estimate for name, estimate in estimates.items()}
