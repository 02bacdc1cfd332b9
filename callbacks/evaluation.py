"""Evaluation: from decided test pictures to numbers with intervals, the sweep, and the pictures worth showing."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from lightning import Callback

from datamodules.progress import working
from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES, UNKNOWN

from .baseline import brightness_baseline
from .bootstrap import Estimate, Resampling
from .calibration import calibration_of
from .examples import ExampleGallery
from .histogram import PixelHistogram
from .intervals import image_intervals
from .pixels import pixel_intervals
from .sweep import precision_recall_f1, sweep_table

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer

    from datamodules.batch import InspectionBatch

    from .report.content import Example

PIXEL_SWEEP_ROWS = 1000
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


@dataclass(frozen=True)
class Results:
    """What a test found.

    Attributes:
        metrics: The content of metrics.json: ``test`` and ``baseline`` map names to ``value``, ``low`` and ``high``
            (None where undefined, such as recall without defects); ``pictures`` counts them.
        predictions: One row per test picture, sorted by name.
        sweep: Counts, precision, recall and F1 at every distinct test score.
        pixel_sweep: The same over pixels, thinned; empty where no defect is marked.
        examples: Pictures to show.
        seconds_per_picture: Of the model alone, loading excluded.
    """

    metrics: dict[str, Any]
    predictions: pd.DataFrame
    sweep: pd.DataFrame
    pixel_sweep: pd.DataFrame
    examples: tuple[Example, ...]
    seconds_per_picture: float


class Evaluation(Callback):
    """Collects test predictions and turns them into ``results``.

    Args:
        resamples: Of the bootstrap behind every interval; at least 2.
        confidence: Of the intervals, in (0, 1).
        examples: Pictures to keep per category.
        seed: Of the bootstrap.

    Attributes:
        results: Set when a test has ended.
    """

    results: Results

    def __init__(self, resamples: int = 1000, confidence: float = 0.95, examples: int = 6, seed: int = 0) -> None:
        self.resampling = Resampling(resamples, confidence, seed)
        self.examples = examples

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start afresh."""
        del trainer
        self._rows: list[dict[str, Any]] = []
        self._pixels = PixelHistogram(pl_module.device)
        self._gallery = ExampleGallery(self.examples)
        self._seconds = 0.0

    def on_test_batch_start(self, *args: Any) -> None:
        """Start the clock."""
        del args
        self._started = time.perf_counter()

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: InspectionBatch, *args: Any
    ) -> None:
        """Collect one batch."""
        del trainer, pl_module, args
        self._rows += prediction_rows(outputs)  # waits for the device, so that the clock tells the truth
        self._seconds += time.perf_counter() - self._started
        known_N = outputs.has_mask & (outputs.label_index >= GOOD)
        groups = [group for group, is_known in zip(outputs.group, known_N.tolist(), strict=True) if is_known]
        self._pixels.update(outputs.anomaly_map[known_N], outputs.gt_mask[known_N], groups)
        self._gallery.update(outputs)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute and log everything."""
        calibration = calibration_of(pl_module)
        samples = getattr(getattr(trainer, "datamodule", None), "samples", pd.DataFrame())
        predictions = pd.DataFrame(self._rows).sort_values("name", ignore_index=True)
        if not samples.empty:
            about = samples.set_index("name").reindex(predictions["name"])
            predictions["defect"] = about["defect"].to_numpy()
        with working("computing intervals"):
            estimates = image_estimates(predictions, float(calibration.image_threshold), self.resampling)
            estimates |= self._pixel_estimates(float(calibration.pixel_threshold))
        baseline = {} if samples.empty else _baseline(predictions, about, self.resampling)
        labels = predictions["label_index"]
        self.results = Results(
            metrics={
                "test": {name: plain(estimate) for name, estimate in estimates.items()},
                "baseline": {name: plain(estimate) for name, estimate in baseline.items()},
                "pictures": {LABEL_NAMES[index]: int((labels == index).sum()) for index in LABEL_NAMES},
            },
            predictions=predictions,
            sweep=precision_recall_f1(predictions["score"].to_numpy(), labels.to_numpy()),
            pixel_sweep=sweep_table(self._pixels.counts(), PIXEL_SWEEP_ROWS) if self._marked else pd.DataFrame(),
            examples=_with_defects(self._gallery.examples(), predictions),
            seconds_per_picture=self._seconds / len(predictions),
        )
        pl_module.log_dict({f"test/{name}": estimate.value for name, estimate in estimates.items()})

    @property
    def _marked(self) -> bool:
        return bool(self._pixels.count[1].any())

    def _pixel_estimates(self, threshold: float) -> dict[str, Estimate]:
        """Judge the maps, where defects are marked at all."""
        if not self._marked:
            return {}
        estimates = pixel_intervals(self._pixels, threshold, self.resampling)
        return {f"pixel_{REPORTED_AS[name]}": estimate for name, estimate in estimates.items()}


def prediction_rows(batch: InspectionBatch) -> list[dict[str, Any]]:
    """Turn a decided batch into rows of predictions.csv."""
    tensors = (batch.label_index.tolist(), batch.pred_score.tolist(), batch.pred_label.tolist())
    columns = zip(batch.name, batch.image_path, *tensors, batch.kind, batch.group, strict=True)
    return [
        {
            "name": name,
            "image_path": path,
            "label_index": label_index,
            "score": score,
            "verdict": LABEL_NAMES[DEFECTIVE if verdict else GOOD],
            "kind": kind,
            "group": group,
        }
        for name, path, label_index, score, verdict, kind, group in columns
    ]


def image_estimates(predictions: pd.DataFrame, threshold: float, resampling: Resampling) -> dict[str, Estimate]:
    """Judge scores and verdicts of the pictures whose truth is known."""
    known = predictions[predictions["label_index"] != UNKNOWN]
    estimates = image_intervals(
        known["score"].to_numpy(np.float64),
        known["label_index"].to_numpy(np.int64),
        known["group"].to_numpy(str),
        threshold,
        resampling,
    )
    return {f"image_{REPORTED_AS[name]}": estimate for name, estimate in estimates.items()}


def plain(estimate: Estimate) -> dict[str, float | None]:
    """Turn an estimate into JSON's terms, which know no NaN."""
    return {name: None if math.isnan(value) else value for name, value in estimate.to_dict().items()}


def _baseline(predictions: pd.DataFrame, about: pd.DataFrame, resampling: Resampling) -> dict[str, Estimate]:
    known = (predictions["label_index"] != UNKNOWN).to_numpy()
    return brightness_baseline(
        about["brightness"].to_numpy(np.float64)[known],
        predictions["label_index"].to_numpy(np.int64)[known],
        predictions["group"].to_numpy(str)[known],
        resampling,
    )


def _with_defects(examples: tuple[Example, ...], predictions: pd.DataFrame) -> tuple[Example, ...]:
    """Add the type of defect, which batches do not carry."""
    if "defect" not in predictions:
        return examples
    defect_of = dict(zip(predictions["name"], predictions["defect"], strict=True))
    return tuple(replace(example, defect=defect_of[example.name]) for example in examples)
