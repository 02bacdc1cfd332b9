"""TensorBoard: the final numbers, the score histograms, the precision-recall curve, and the pictures worth seeing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from datamodules.table import DEFECTIVE, GOOD, UNKNOWN

from .report.pictures import strip

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from .calibration import Calibration
    from .evaluation import Results

CURVE_POINTS = 127  # TensorBoard's own default


def log_results(folder: Path, results: Results, calibration: Calibration, config: Mapping[str, Any]) -> None:
    """Write the results of a test as events under ``folder``, with one row for the HParams tab.

    Args:
        folder: Of TensorBoard's events.
        results: What the test found.
        calibration: For the colours of the maps.
        config: Resolved; its leaves become hyper-parameters.
    """
    values = {f"test/{name}": entry["value"] for name, entry in results.metrics["test"].items()}
    defined = {name: value for name, value in values.items() if value is not None}
    with SummaryWriter(str(folder)) as writer:
        for name, value in defined.items():
            writer.add_scalar(name, value)
        _log_scores(writer, results.predictions)
        _log_curve(writer, "test/image", results.sweep)
        _log_curve(writer, "test/pixel", results.pixel_sweep)
        for example in results.examples:
            picture = strip(example, *calibration.map_range)
            writer.add_image(f"{example.category}/{example.name}", picture, dataformats="HWC")
        writer.add_hparams(flatten(config), defined, run_name=".")


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Turn a nested config into hyper-parameters ``a.b.c``; lists become JSON, null and whole branches no entry."""
    flat: dict[str, str | int | float | bool] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        elif isinstance(value, str | int | float | bool):
            flat[f"{prefix}{key}"] = value
        elif value is not None:
            flat[f"{prefix}{key}"] = json.dumps(value)
    return flat


def _log_scores(writer: SummaryWriter, predictions: pd.DataFrame) -> None:
    for label_index, name in ((GOOD, "good"), (DEFECTIVE, "defective"), (UNKNOWN, "unknown")):
        scores = predictions.loc[predictions["label_index"] == label_index, "score"].to_numpy()
        if scores.size:
            writer.add_histogram(f"score/{name}", scores)


def _log_curve(writer: SummaryWriter, name: str, sweep: pd.DataFrame) -> None:
    """Log the exact sweep, thinned to as many points as TensorBoard draws."""
    if sweep.empty or sweep["recall"].isna().all():
        return
    rows = sweep.iloc[np.unique(np.linspace(0, len(sweep) - 1, CURVE_POINTS).astype(int))]
    tp, fp, tn, fn, precision, recall = (
        rows[name].to_numpy() for name in ("tp", "fp", "tn", "fn", "precision", "recall")
    )
    writer.add_pr_curve_raw(name, tp, fp, tn, fn, precision, recall, num_thresholds=len(rows))
