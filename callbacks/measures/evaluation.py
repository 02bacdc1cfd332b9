"""Evaluation: from decided test pictures to numbers with intervals, the sweep, and the pictures worth showing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from lightning import Callback

from callbacks.decisions.calibration import Calibration, calibration_of
from callbacks.decisions.familiarity import examine_test, map_medians
from callbacks.defects.findings import Findings, ObjectResults, picture_scales
from callbacks.defects.measured import DefectRules
from callbacks.statistics.bootstrap import Estimate, Resampling
from callbacks.statistics.histogram import PixelHistogram
from callbacks.statistics.overlap import OverlapMeter
from callbacks.statistics.paired import VERDICT_LINE, Judged, judged_intervals
from callbacks.statistics.probability import probability_intervals
from callbacks.statistics.threshold_sweep import precision_recall_f1, sweep_table
from datamodules.errors import DataError
from datamodules.progress import working
from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES, UNKNOWN

from .atlas import Atlas, AtlasMaker
from .baseline import brightness_baseline
from .examples import ExampleGallery
from .pixels import pixel_intervals
from .timing import Stopwatch, peak_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from lightning import LightningModule, Trainer
    from torch import Tensor

    from callbacks.defects.measured import PictureScale
    from datamodules.samples.batch import InspectionBatch

    from .examples import Example

PIXEL_SWEEP_ROWS = 1000
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
        objects: Predicted and marked defects, and where they fall.
        seconds_per_picture: By stage: ``loading``, ``model`` (the model alone), ``embedding`` and ``counting``.
        peak_memory: In MiB, as `callbacks.measures.timing.peak_memory` tells it.
        atlas: Thumbnails and embeddings of a draw of the pictures; None where none were to be kept.
        notes: Sentences about images unlike those of the training.
    """

    metrics: dict[str, Any]
    predictions: pd.DataFrame
    sweep: pd.DataFrame
    pixel_sweep: pd.DataFrame
    examples: tuple[Example, ...]
    objects: ObjectResults
    seconds_per_picture: dict[str, float]
    peak_memory: dict[str, int]
    atlas: Atlas | None = None
    notes: tuple[str, ...] = ()


@runtime_checkable
class HasEmbedding(Protocol):
    """A model that may describe pictures (B, 3, H, W) by one vector each (B, D)."""

    def embedding(self, image_B3HW: Tensor) -> Tensor | None:
        """Describe pictures; None where the method has no natural vector."""


class Evaluation(Callback):
    """Collects test predictions and turns them into ``results``.

    Args:
        resamples: Of the bootstrap behind every interval; at least 2.
        confidence: Of the intervals, in (0, 1).
        examples: Pictures to keep per category.
        atlas: Pictures of the atlas at most, whose embeddings and thumbnails are kept; 0 keeps none.
        seed: Of the bootstrap.
        defects: What counts as a defect, and how severe it is; None: every region of a predicted mask.
        overlap: Share of a marked defect that predicted ones must cover for it to count as found, in (0, 1].

    Attributes:
        results: Set when a test has ended.
    """

    results: Results

    def __init__(
        self,
        resamples: int = 1000,
        confidence: float = 0.95,
        examples: int = 6,
        atlas: int = 1000,
        seed: int = 0,
        defects: DefectRules | None = None,
        overlap: float = 0.1,
    ) -> None:
        if not 0 < overlap <= 1:
            raise ValueError(f"Expected callbacks.evaluation.overlap to be above 0 and at most 1, but found {overlap}.")
        self.resampling = Resampling(resamples, confidence, seed)
        self.defects = defects or DefectRules()
        self.overlap = overlap
        self.examples = examples
        self.atlas = atlas

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start afresh."""
        self._samples = getattr(getattr(trainer, "datamodule", None), "samples", pd.DataFrame())
        self._rows: list[dict[str, Any]] = []
        self._median_of: dict[str, float] = {}
        self._pixels = PixelHistogram(pl_module.device)
        self._decided = PixelHistogram(pl_module.device)
        self._overlap = OverlapMeter()
        self._findings = Findings(self.defects, self.overlap)
        self._scales: dict[str, PictureScale] | None = None
        self._gallery = ExampleGallery(self.examples)
        self._atlas = AtlasMaker(self.atlas)
        self._watch = Stopwatch()

    def on_test_batch_start(self, *args: Any) -> None:
        """Book the time since the last batch to loading."""
        del args
        self._watch.lap("loading")

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: InspectionBatch, *args: Any
    ) -> None:
        """Collect one batch."""
        del trainer, args
        self._rows += prediction_rows(outputs)  # waits for the device, so that the clock tells the truth
        self._watch.lap("model")
        self._median_of |= dict(zip(outputs.name, map_medians(outputs.anomaly_map), strict=True))
        wanted = self._atlas.wanted(outputs.name)
        embedding_ND = _embedding(pl_module, outputs, wanted)
        self._watch.lap("embedding")
        known_N = outputs.has_mask & (outputs.label_index >= GOOD)
        groups = [group for group, is_known in zip(outputs.group, known_N.tolist(), strict=True) if is_known]
        self._pixels.update(outputs.anomaly_map[known_N], outputs.gt_mask[known_N], groups)
        self._overlap.update(outputs.pred_mask[known_N].cpu(), outputs.gt_mask[known_N].cpu(), groups)
        calibration = calibration_of(pl_module)
        if not calibration.decides_plainly:
            self._decided.update(outputs.pred_mask[known_N].float(), outputs.gt_mask[known_N], groups)
        if self._scales is None:
            self._scales = picture_scales(self._samples, *outputs.image.shape[-2:])
        self._findings.update(outputs, calibration, self._scales)
        self._gallery.update(outputs, calibration.image_lines(outputs.kind))
        self._atlas.update(outputs, wanted, embedding_ND)
        self._watch.lap("counting")

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute and log everything."""
        del trainer
        calibration = calibration_of(pl_module)
        samples = self._samples
        predictions = pd.DataFrame(self._rows).sort_values("name", ignore_index=True)
        require_finite(predictions)
        if not samples.empty:
            about = samples.set_index("name").reindex(predictions["name"])
            predictions["defect"] = about["defect"].to_numpy()
        types = dict(zip(predictions["name"], predictions["defect"], strict=True)) if "defect" in predictions else {}
        with working("computing intervals"):
            estimates = image_estimates(predictions, self.resampling)
            estimates |= self._probabilities(predictions, calibration)
            estimates |= self._pixel_estimates(calibration)
            objects = self._findings.results(types, self.resampling)
        familiarity = examine_test(calibration.usual, predictions, samples, self._median_of)
        predictions["unusual"] = familiarity.reasons
        baseline = {} if samples.empty else _baseline(predictions, about, self.resampling)
        labels = predictions["label_index"]
        self.results = Results(
            metrics={
                "test": {name: plain(estimate) for name, estimate in estimates.items()},
                "baseline": {name: plain(estimate) for name, estimate in baseline.items()},
                "objects": objects.metrics,
                **({"unusual": familiarity.metrics} if familiarity.metrics else {}),
                "pictures": {LABEL_NAMES[index]: int((labels == index).sum()) for index in LABEL_NAMES},
            },
            predictions=predictions,
            sweep=precision_recall_f1(predictions["score"].to_numpy(), labels.to_numpy()),
            pixel_sweep=sweep_table(self._pixels.counts(), PIXEL_SWEEP_ROWS) if self._marked else pd.DataFrame(),
            examples=_with_defects(self._gallery.examples(), predictions),
            objects=objects,
            seconds_per_picture={name: time / len(predictions) for name, time in self._watch.seconds.items()},
            peak_memory=peak_memory(pl_module.device),
            atlas=self._atlas.atlas(),
            notes=tuple(familiarity.notes),
        )
        pl_module.log_dict({f"test/{name}": estimate.value for name, estimate in estimates.items()})

    @property
    def _marked(self) -> bool:
        return bool(self._pixels.count[1].any())

    def _probabilities(self, predictions: pd.DataFrame, calibration: Calibration) -> dict[str, Estimate]:
        """Add the column ``probability`` where the calibration tells one, and judge it."""
        if calibration.to_probability is None:
            return {}
        predictions["probability"] = calibration.to_probability(predictions["score"].to_numpy(np.float64))
        probability_N, label_N, group_N = (
            predictions[name].to_numpy() for name in ("probability", "label_index", "group")
        )
        estimates = probability_intervals(probability_N, label_N, group_N, self.resampling)
        return {f"image_{name}": estimate for name, estimate in estimates.items()}

    def _pixel_estimates(self, calibration: Calibration) -> dict[str, Estimate]:
        """Judge the maps, where defects are marked at all; rates are those of the masks as decided."""
        if not self._marked:
            return {}
        estimates = pixel_intervals(self._pixels, float(calibration.pixel_threshold), self.resampling)
        if not calibration.decides_plainly:
            decided = pixel_intervals(self._decided, VERDICT_LINE, self.resampling)
            estimates |= {name: decided[name] for name in RATES}
        named = {f"pixel_{REPORTED_AS[name]}": estimate for name, estimate in estimates.items()}
        return named | self._overlap.estimates(self.resampling)


def _embedding(
    module: LightningModule, batch: InspectionBatch, wanted: Sequence[int]
) -> npt.NDArray[np.float32] | None:
    """Describe the wanted pictures of a batch by one vector each, where the model can."""
    if not isinstance(module, HasEmbedding) or not wanted:
        return None
    embedding_ND = module.embedding(batch.image[list(wanted)])
    return None if embedding_ND is None else embedding_ND.float().flatten(1).cpu().numpy()


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


def image_estimates(predictions: pd.DataFrame, resampling: Resampling) -> dict[str, Estimate]:
    """Judge scores and verdicts of the pictures whose truth is known; verdicts may rest on several thresholds."""
    known = predictions[predictions["label_index"] != UNKNOWN]
    verdict_N = (known["verdict"] == LABEL_NAMES[DEFECTIVE]).to_numpy()
    judged = Judged(known["score"].to_numpy(np.float64), verdict_N)
    label_N, group_N = known["label_index"].to_numpy(np.int64), known["group"].to_numpy(str)
    estimates = judged_intervals(judged, label_N, group_N, resampling)
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
