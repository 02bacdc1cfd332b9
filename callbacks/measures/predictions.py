"""The table of predictions: one row per decided test image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.errors import DataError
from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES

if TYPE_CHECKING:
    import pandas as pd

    from datamodules.samples.batch import InspectionBatch


def prediction_rows(batch: InspectionBatch) -> list[dict[str, Any]]:
    """Turn a decided batch into rows of predictions.csv."""
    tensors = (batch.label_index.tolist(), batch.pred_score.tolist(), batch.pred_label.tolist())
    types = batch.pred_type or [""] * len(batch)
    columns = zip(batch.name, batch.image_path, *tensors, batch.kind, batch.group, types, strict=True)
    return [
        {
            "name": name,
            "image_path": path,
            "label_index": label_index,
            "score": score,
            "verdict": LABEL_NAMES[DEFECTIVE if verdict else GOOD],
            "kind": kind,
            "group": group,
            "predicted_type": predicted_type,
        }
        for name, path, label_index, score, verdict, kind, group, predicted_type in columns
    ]


def require_finite(predictions: pd.DataFrame) -> None:
    """Refuse scores that are not finite: none of them reaches a threshold, and all would be called good.

    Raises:
        DataError: Says how many, and names one.
    """
    wrong = predictions[~np.isfinite(predictions["score"].to_numpy(np.float64))]
    if len(wrong):
        raise DataError(
            f"Expected finite scores, but {len(wrong)} of {len(predictions)} are not, that of {wrong['name'].iloc[0]} "
            "for one; the weights are damaged, or the training diverged: train again, at a lower rate."
        )
