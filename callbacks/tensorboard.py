"""TensorBoard: final numbers, score histograms, precision-recall curves, embeddings, and the pictures worth seeing."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES, UNKNOWN

from .confusion_picture import confusion_picture
from .report.facts import confusion
from .report.pictures import strip

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt
    import pandas as pd
    from torch import Tensor

    from .calibration import Calibration
    from .evaluation import Results

CURVE_POINTS = 127  # TensorBoard's own default
MOST_SHEET = 8192  # pixels of a side of the projector's sheet of thumbnails


def log_results(folder: Path, results: Results, calibration: Calibration, config: Mapping[str, Any]) -> None:
    """Write the results of a test as events under ``folder``, with one row for the HParams tab.

    Args:
        folder: Of TensorBoard's events.
        results: What the test found.
        calibration: For the colours of the maps.
        config: Resolved; its leaves become hyper-parameters.
    """
    values = {f"test/{name}": entry["value"] for name, entry in results.metrics["test"].items()}
    for kind, entries in results.metrics.get("instances", {}).items():
        values |= {f"instances/{kind}_{name}": entry["value"] for name, entry in entries.items()}
    defined = {name: value for name, value in values.items() if value is not None}
    with SummaryWriter(str(folder)) as writer:
        for name, value in defined.items():
            writer.add_scalar(name, value)
        _log_scores(writer, results.predictions)
        log_curve(writer, "test/image", results.sweep)
        log_curve(writer, "test/pixel", results.pixel_sweep)
        matrix = confusion_picture(confusion(results.predictions), "test pictures")
        writer.add_image("test/confusion", matrix, dataformats="HWC")
        _log_embeddings(writer, results)
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


def _log_embeddings(writer: SummaryWriter, results: Results) -> None:
    """Give the projector what the model says of every picture of the atlas, with its label, score and thumbnail."""
    atlas = results.atlas
    if atlas is None or atlas.embedding_AD is None or not np.isfinite(atlas.embedding_AD).all():
        return
    rows = results.predictions.set_index("name").loc[list(atlas.names)]
    about = [
        [name.replace("\t", " ").replace("\n", " "), LABEL_NAMES[int(label)], f"{score:.6g}"]
        for name, label, score in zip(atlas.names, rows["label_index"], rows["score"], strict=True)
    ]
    writer.add_embedding(
        atlas.embedding_AD, about, projector_pictures(atlas.thumbnail_AhwC), metadata_header=["name", "label", "score"]
    )


def projector_pictures(thumbnail_AhwC: npt.NDArray[np.uint8]) -> Tensor:
    """Thumbnails as the projector takes them, (A, 3, s, s) in [0, 1]: square, and small enough for its one sheet.

    The sheet's sides must not be longer than 8192 pixels.
    """
    side = min(64, MOST_SHEET // math.ceil(math.sqrt(len(thumbnail_AhwC))))
    tiles = [cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in thumbnail_AhwC]
    return torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).float().div(255)


def log_curve(writer: SummaryWriter, name: str, sweep: pd.DataFrame, step: int | None = None) -> None:
    """Log the exact sweep, thinned to as many points as TensorBoard draws."""
    if sweep.empty or sweep["recall"].isna().all():
        return
    rows = sweep.iloc[np.unique(np.linspace(0, len(sweep) - 1, CURVE_POINTS).astype(int))]
    tp, fp, tn, fn, precision, recall = (
        rows[name].to_numpy() for name in ("tp", "fp", "tn", "fn", "precision", "recall")
    )
    writer.add_pr_curve_raw(name, tp, fp, tn, fn, precision, recall, step, num_thresholds=len(rows))
