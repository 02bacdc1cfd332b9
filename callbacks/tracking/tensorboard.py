"""TensorBoard: final numbers, score histograms, precision-recall curves, embeddings, and the images worth seeing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from callbacks.measures.atlas import Atlas
from callbacks.measures.evaluation import values_of_test
from callbacks.measures.figures import Examples
from callbacks.measures.images import THRESHOLDS
from callbacks.measures.pixels import THRESHOLDS as PIXEL_THRESHOLDS
from callbacks.report.facts import confusion
from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES, UNKNOWN

from .confusion_image import confusion_image
from .event_files import TEST, forget_results
from .event_log import log_image
from .hparams import write_row
from .sheets import by_category, example_sheet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy.typing as npt
    import pandas as pd
    from torch import Tensor

    from callbacks.decisions.calibration import Calibration
    from callbacks.measures.examples import Example
    from callbacks.measures.results import Results

CURVE_POINTS = 127  # TensorBoard's own default
MOST_SHEET = 8192  # pixels of a side of the projector's sheet of thumbnails


def log_results(
    folder: Path,
    results: Results,
    calibration: Calibration,
    epoch: int = 1,
    chosen: Mapping[str, str | float | bool | None] | None = None,
) -> None:
    """Write the results of a test as events under ``folder``, in place of those of an earlier test there.

    Args:
        folder: Of TensorBoard's events.
        results: What the test found.
        calibration: For the colours of the maps.
        epoch: That was kept and tested, counted from 1: everything stands there.
        chosen: What was chosen for the run, a row of the HParams tab; None: no row.
    """
    forget_results(folder)
    with SummaryWriter(str(folder), filename_suffix=TEST) as writer:
        for name, value in scalars_of(results).items():
            writer.add_scalar(name, value, epoch)
        _log_scores(writer, results.predictions, epoch)
        for name, table in (("test/image", THRESHOLDS), ("test/pixel", PIXEL_THRESHOLDS)):
            if table in results.tables:
                log_curve(writer, name, results.tables[table], epoch)
        matrix = confusion_image(confusion(results.predictions), "test images")
        log_image(writer, "test/confusion", matrix, epoch)
        if (examples := results.figure(Examples)) is not None:
            log_examples(writer, "test", examples.members, calibration.map_range, epoch)
        _log_embeddings(writer, results, epoch)
    if chosen is not None:
        write_row(folder, chosen)


def scalars_of(results: Results) -> dict[str, float]:
    """Take the figures of a test that are defined: ``test/...``, and ``instances/...`` where there are instances."""
    values = {f"test/{name}": value for name, value in values_of_test(results.metrics).items()}
    for kind, entries in results.metrics.get("instances", {}).items():
        found = {f"instances/{kind}_{name}": entry["value"] for name, entry in entries.items()}
        values |= {name: value for name, value in found.items() if value is not None}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def log_examples(
    writer: SummaryWriter, group: str, examples: Iterable[Example], limits: tuple[float, float], epoch: int
) -> None:
    """Log one sheet for each category, ``GROUP/miss`` and so on: a slider over epochs, not a tag for each image."""
    for category, members in by_category(examples).items():
        log_image(writer, f"{group}/{category}", example_sheet(members, *limits), epoch)


def _log_scores(writer: SummaryWriter, predictions: pd.DataFrame, epoch: int) -> None:
    for label_index, name in ((GOOD, "good"), (DEFECTIVE, "defective"), (UNKNOWN, "unknown")):
        scores = predictions.loc[predictions["label_index"] == label_index, "score"].to_numpy()
        if (finite := scores[np.isfinite(scores)]).size:
            writer.add_histogram(f"score/{name}", finite, epoch)


def _log_embeddings(writer: SummaryWriter, results: Results, epoch: int) -> None:
    """Give the projector what the model says of every image of the atlas, with its label, score and thumbnail."""
    atlas = results.figure(Atlas)
    if atlas is None or atlas.embedding_AD is None or not np.isfinite(atlas.embedding_AD).all():
        return
    rows = results.predictions.set_index("name").loc[list(atlas.names)]
    about = [
        [name.replace("\t", " ").replace("\n", " "), LABEL_NAMES[int(label)], f"{score:.6g}"]
        for name, label, score in zip(atlas.names, rows["label_index"], rows["score"], strict=True)
    ]
    writer.add_embedding(
        atlas.embedding_AD,
        about,
        projector_images(atlas.thumbnail_AhwC),
        epoch,
        metadata_header=["name", "label", "score"],
    )


def projector_images(thumbnail_AhwC: npt.NDArray[np.uint8]) -> Tensor:
    """Return thumbnails for the projector, (A, 3, s, s) in [0, 1]: square, and small enough for its one sheet.

    The sheet's sides must not be longer than 8192 pixels.
    """
    side = min(64, MOST_SHEET // math.ceil(math.sqrt(len(thumbnail_AhwC))))
    tiles = [cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in thumbnail_AhwC]
    return torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).float().div(255)


def log_curve(writer: SummaryWriter, name: str, table: pd.DataFrame, step: int | None = None) -> None:
    """Log the exact table of thresholds, thinned to as many points as TensorBoard draws."""
    table = table.dropna(subset=["precision", "recall"]) if len(table) else table
    if table.empty:
        return
    rows = table.iloc[np.unique(np.linspace(0, len(table) - 1, CURVE_POINTS).astype(int))]
    tp, fp, tn, fn, precision, recall = (
        rows[name].to_numpy() for name in ("tp", "fp", "tn", "fn", "precision", "recall")
    )
    writer.add_pr_curve_raw(name, tp, fp, tn, fn, precision, recall, step, num_thresholds=len(rows))
