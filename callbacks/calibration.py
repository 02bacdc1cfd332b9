"""Calibration: thresholds in raw score units, chosen on calibration pictures alone, and the decisions made with them.

Letters: N pictures of a batch, H and W pixels.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from anomalib.data import InferenceBatch
from lightning import Callback
from torch import nn

from datamodules.table import DEFECTIVE, GOOD, UNKNOWN

from .curves import count_scores, roc_auc
from .histogram import PixelHistogram
from .pixels import choose_pixel_threshold
from .thresholds import Policy, Threshold, choose_threshold

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer
    from torch import Tensor

    from datamodules.batch import InspectionBatch

OBJECTIVE = "calibration/objective"


class Seen(NamedTuple):
    """What calibration keeps of one picture."""

    score: float
    label_index: int
    map_max: float


class Calibration(nn.Module):
    """The post-processor of every model: ``pred_label = pred_score >= threshold``, likewise for pixels.

    Thresholds travel in checkpoints and exports: as buffers in the graph, and as plain values with what they promise.
    Pixel thresholds come from the pixels where masks are known; elsewhere from the highest map value of each good
    picture, so that the promise is about pictures that show any false region.

    Args:
        policy: Chooses thresholds from calibration pictures.
        fallback: Takes over where the policy needs defects and there are none.

    Attributes:
        image: The threshold for pictures; None until calibrated.
        pixel: The threshold for pixels; None until calibrated.
        map_range: Raw map values that the darkest and the brightest colour stand for: for display only.
        scores: What was seen of every calibration picture.
    """

    image_threshold: Tensor
    pixel_threshold: Tensor

    def __init__(self, policy: Policy, fallback: Policy) -> None:
        super().__init__()
        self.policy = policy
        self.fallback = fallback
        self.image: Threshold | None = None
        self.pixel: Threshold | None = None
        self.map_range = (0.0, 1.0)
        self.scores: list[Seen] = []
        self._pixels = PixelHistogram()
        self.register_buffer("image_threshold", torch.tensor(float("nan")))
        self.register_buffer("pixel_threshold", torch.tensor(float("nan")))

    def forward(self, prediction: InferenceBatch) -> InferenceBatch:
        """Add decisions to raw predictions; tensors only, so that it exports."""
        score_N, map_NHW = prediction.pred_score, prediction.anomaly_map
        if score_N is None or map_NHW is None:
            raise TypeError("Expected raw scores and maps to decide by, but the model returned none.")
        return InferenceBatch(
            pred_score=score_N,
            pred_label=score_N >= self.image_threshold,
            anomaly_map=map_NHW,
            pred_mask=map_NHW >= self.pixel_threshold,
        )

    @property
    def calibrated(self) -> bool:
        """Tell whether there are thresholds to decide by."""
        return self.image is not None and self.pixel is not None

    def reset(self, device: torch.device | str = "cpu") -> None:
        """Forget what was seen; keep the thresholds until new ones are chosen."""
        self.scores = []
        self._pixels = PixelHistogram(device)

    def update(self, batch: InspectionBatch) -> None:
        """See scored calibration pictures."""
        peak_N = batch.anomaly_map.flatten(1).amax(dim=1)
        columns = (batch.pred_score.tolist(), batch.label_index.tolist(), peak_N.tolist())
        self.scores += [Seen(*row) for row in zip(*columns, strict=True)]
        known_N = batch.has_mask & (batch.label_index >= GOOD)
        self._pixels.update(batch.anomaly_map[known_N], batch.gt_mask[known_N])

    def choose(self) -> None:
        """Choose thresholds from all that was seen since ``reset``.

        Raises:
            ValueError: There was no good picture, or scores are not finite.
        """
        score_N = np.array([seen.score for seen in self.scores])
        label_N = np.array([seen.label_index for seen in self.scores])
        self.image = choose_threshold(self.policy, score_N, label_N, self.fallback)
        self.pixel = self._choose_pixel(label_N)
        self.image_threshold.fill_(self.image.value)
        self.pixel_threshold.fill_(self.pixel.value)
        self.map_range = self._display_range(self.pixel.value)

    def objective(self) -> float | None:
        """Score the calibration itself, for choosing a checkpoint: AUROC; None where only one class was seen."""
        counts = count_scores([seen.score for seen in self.scores], [seen.label_index for seen in self.scores])
        value = float(roc_auc(counts.negative, counts.positive))
        return None if np.isnan(value) else value

    def summary(self) -> dict[str, Any]:
        """Say what was decided and what it rests on, in plain values: the content of calibration.json."""
        if self.image is None or self.pixel is None:
            raise ValueError("Expected a calibrated model, but no threshold has been chosen; train it first.")
        labels = [seen.label_index for seen in self.scores]
        return {
            "image": asdict(self.image),
            "pixel": asdict(self.pixel),
            "map_range": list(self.map_range),
            "pictures": {"good": labels.count(GOOD), "defective": labels.count(DEFECTIVE)},
        }

    def get_extra_state(self) -> dict[str, Any]:
        """Send thresholds, their promises and the scores they rest on, in plain values."""
        return {
            "image": None if self.image is None else asdict(self.image),
            "pixel": None if self.pixel is None else asdict(self.pixel),
            "map_range": list(self.map_range),
            "scores": [list(seen) for seen in self.scores],
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take thresholds from a checkpoint."""
        self.image = None if state["image"] is None else Threshold(**state["image"])
        self.pixel = None if state["pixel"] is None else Threshold(**state["pixel"])
        self.map_range = (state["map_range"][0], state["map_range"][1])
        self.scores = [Seen(*row) for row in state["scores"]]

    def _choose_pixel(self, label_N: np.ndarray[Any, np.dtype[np.int64]]) -> Threshold:
        counts = self._pixels.counts()
        if self.policy.needs_defects and counts.positive.sum() > 0:
            return choose_pixel_threshold(self.policy, self._pixels, self.fallback)
        peak_N = np.array([seen.map_max for seen in self.scores])
        good_N = np.where(label_N == GOOD, GOOD, UNKNOWN)  # without a mask, a defect says nothing about pixels
        if not self.policy.needs_defects:
            return self.policy.choose(peak_N, good_N)
        chosen = self.fallback.choose(peak_N, good_N)
        why = "No defect is marked in the calibration pictures, so each good one counts by its highest map value. "
        return replace(chosen, promise=why + chosen.promise, fallback=True)

    def _display_range(self, threshold: float) -> tuple[float, float]:
        """From what is usual to well above the threshold, so that a defect differs from what barely passes."""
        counts = self._pixels.counts()
        total = (counts.negative + counts.positive).cumsum()
        median = counts.threshold[np.searchsorted(total, total[-1] / 2)]
        highest = max(seen.map_max for seen in self.scores)
        return float(median), float(max(highest, threshold + (threshold - median) / 2, median + 1e-6))


class Calibrate(Callback):
    """Runs a module's ``Calibration`` over the calibration pictures, whenever Lightning validates."""

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start afresh: scores of an earlier epoch belong to another model."""
        del trainer
        calibration_of(pl_module).reset(pl_module.device)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: InspectionBatch, *args: Any
    ) -> None:
        """See a batch."""
        del trainer, args
        calibration_of(pl_module).update(outputs)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose thresholds, and log how well good and defective calibration pictures separate.

        With good pictures alone nothing can be said about that, and the objective is the epoch: later is better.
        """
        calibration = calibration_of(pl_module)
        calibration.choose()
        objective = calibration.objective()
        pl_module.log(OBJECTIVE, float(trainer.current_epoch) if objective is None else objective)
        pl_module.log("calibration/image_threshold", float(calibration.image_threshold))
        pl_module.log("calibration/pixel_threshold", float(calibration.pixel_threshold))

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse to decide without thresholds."""
        del trainer
        if not calibration_of(pl_module).calibrated:
            raise ValueError(
                "Expected a calibrated model, but its calibration never ran: training ended within the first epoch; "
                "train again, for a whole epoch at least."
            )

    on_predict_start = on_test_start


def calibration_of(module: LightningModule) -> Calibration:
    """Return the calibration of a module.

    Raises:
        TypeError: It has none.
    """
    calibration = getattr(module, "post_processor", None)
    if not isinstance(calibration, Calibration):
        raise TypeError(f"Expected post_processor to be a Calibration, but got {type(calibration).__name__}.")
    return calibration
