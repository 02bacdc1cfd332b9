"""A cheap model that screens, and Mask R-CNN for what it does not pass.

Letters: B images of a batch, N calibration images, H and W pixels.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from anomalib.data import InferenceBatch
from torch import nn
from torch.optim.lr_scheduler import StepLR

from datamodules.errors import DataError
from datamodules.progress import track
from datamodules.samples.loading import once_more
from datamodules.table import DEFECTIVE

from .account import Account
from .base import InspectionModel
from .components.joint_optimizer import JointOptimizer
from .components.screening import PASSED, Screening, choose_screening
from .components.stages import StageTally, stage_counts, stage_note
from .efficient_ad import EfficientAd
from .errors import UntrainedError
from .export_plan import SCREENING, ExportPlan, Graph
from .mask_rcnn import MaskRcnn, MaskRcnnModel
from .one_pass import OnePassModel

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from datamodules.samples.batch import InspectionBatch
    from datamodules.samples.detections import Detections
    from datamodules.samples.supervision import Supervision

    from .components.tiled import Cutting


ROUNDING = 1e-5  # share by which scores of different runtimes differ, generously


class HybridModel(nn.Module):
    """Both networks: the second sees only images that the first does not pass.

    Args:
        screening: From images to raw scores and maps.
        inspection: Mask R-CNN.

    Attributes:
        chosen: The threshold between them, with its promise; None until calibrated. It travels in checkpoints.
        asked: Takes, of every call, which images or tiles were inspected (B,); None: nobody asks.
        screened: Images that the first saw since ``reset``.
        inspected: Images that the second saw.
        seconds: What each stage took.
    """

    screening_threshold: Tensor

    def __init__(self, screening: nn.Module, inspection: MaskRcnnModel) -> None:
        super().__init__()
        self.screening = screening
        self.inspection = inspection
        self.chosen: Screening | None = None
        self.asked: list[Tensor] | None = None
        self.register_buffer("screening_threshold", torch.tensor(float("nan")))
        self.reset()

    def reset(self) -> None:
        """Forget what was counted."""
        self.screened = self.inspected = 0
        self.seconds = {"screening": 0.0, "inspection": 0.0}

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images: raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W); see ``detect``."""
        return self.detect(image_B3HW)[0]

    def detect(self, image_B3HW: Tensor) -> tuple[InferenceBatch, list[Detections]]:
        """Screen images, and inspect those that reach the threshold.

        Returns:
            Scores and maps of Mask R-CNN where it looked; elsewhere the score is -1, below all others, the map 0, and
            there are no detections. So no threshold of the second stage calls a passed image defective, unless it
            calls every image so.
        """
        count, _, height, width = image_B3HW.shape
        started = _now(image_B3HW)
        screened: Tensor = self.screening(image_B3HW).pred_score
        suspicious = (screened >= self.screening_threshold).nonzero().flatten()
        handed_over = _now(image_B3HW)
        score_B = torch.full_like(screened, PASSED)
        map_BHW = screened.new_zeros(count, height, width)
        detections: list[Detections] = [[] for _ in range(count)]
        if len(suspicious):
            prediction, found = self.inspection.detect(image_B3HW[suspicious])
            score_B[suspicious] = cast(
                "Tensor", prediction.pred_score
            )  # anomalib's types allow None, our models do not
            map_BHW[suspicious] = cast("Tensor", prediction.anomaly_map)
            for index, entry in zip(suspicious.tolist(), found, strict=True):
                detections[index] = entry
        if self.asked is not None:
            self.asked.append(screened >= self.screening_threshold)
        self.screened += count
        self.inspected += len(suspicious)
        self.seconds["screening"] += handed_over - started
        self.seconds["inspection"] += _now(image_B3HW) - handed_over
        return InferenceBatch(pred_score=score_B, anomaly_map=map_BHW), detections

    def milliseconds(self) -> dict[str, float]:
        """Tell what each stage took for each image that it saw."""
        seen = {"screening": self.screened, "inspection": self.inspected}
        return {name: round(1000 * self.seconds[name] / count, 2) for name, count in seen.items() if count}

    def export_plan(self) -> ExportPlan:
        """Plan a graph for each stage.

        A threshold that lies on a calibration image would pass it once a runtime rounds in another way: it leaves a
        little lower.
        """
        inspection = self.inspection.export_plan()
        threshold = float(self.screening_threshold)
        rules = {"screening_threshold": threshold - ROUNDING * abs(threshold), "passed": PASSED}
        return ExportPlan(
            {**inspection.composition, "kind": "hybrid", **rules},
            {**inspection.graphs, SCREENING: Graph(self.screening)},
        )

    def choose(self, chosen: Screening) -> None:
        """Take a threshold for the first stage."""
        self.chosen = chosen
        self.screening_threshold.fill_(chosen.value)

    def get_extra_state(self) -> dict[str, Any]:
        """Send the threshold's promise along with the weights."""
        return {} if self.chosen is None else asdict(self.chosen)

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take the threshold of a checkpoint."""
        self.chosen = Screening(**state) if state else None


class Hybrid(InspectionModel):
    """Screening and inspection: two models, one calibration, two thresholds.

    Both learn at once: Mask R-CNN from all images in every epoch, the screening from the good ones. A screening that
    fits in one pass collects them during the first epoch and fits at its end; its threshold is then chosen on
    calibration images, and stays. EfficientAD learns in every step, and its threshold is chosen at every calibration.
    The second threshold is the calibration's own, on the scores that ``HybridModel.detect`` makes of both stages.

    Args:
        screening: A model that learns from good images alone: in one pass, or EfficientAD.
        inspection: Mask R-CNN.
        screening_recall: Share of the defective calibration images that must be inspected, in (0, 1].
        pass_share: Share of the good calibration images that are passed at most, in [0, 1].

    Raises:
        ValueError: An argument is out of range.
    """

    nothing: ClassVar[float | None] = 0.0
    supervision: ClassVar[Supervision] = "instances"
    trainer_arguments: ClassVar[dict[str, Any]] = MaskRcnn.trainer_arguments
    monitor: ClassVar[str] = MaskRcnn.monitor
    not_exportable: ClassVar[str] = "its stages are graphs of their own; a bundle puts them together"

    def __init__(
        self,
        screening: OnePassModel | EfficientAd,
        inspection: MaskRcnn,
        screening_recall: float = 1.0,
        pass_share: float = 0.9,
    ) -> None:
        super().__init__()
        # Both stages would be pickled into checkpoints as hyper-parameters; the config of the run says all there is.
        self.hparams.clear()
        self.save_hyperparameters({}, logger=False)
        if not 0 < screening_recall <= 1 or not 0 <= pass_share <= 1:
            raise ValueError(
                "Expected model.screening_recall to be above 0 and at most 1, and model.pass_share from 0 to 1, but "
                f"found {screening_recall} and {pass_share}."
            )
        if not isinstance(screening, OnePassModel | EfficientAd):
            raise ValueError(  # noqa: TRY004 - a wrong value of the config, reported as such
                "Expected model.screening to be a model that learns from good pictures alone, such as patchcore, padim "
                f"or efficient_ad, but found {type(screening).__name__}."
            )
        self.screening_recall = screening_recall
        self.pass_share = pass_share
        self.patience = inspection.patience
        self.classes = inspection.classes
        self.model: HybridModel = HybridModel(screening.model, inspection.model)
        self.stages = (screening, inspection)  # in a tuple, lest their weights are kept twice
        self.tally = StageTally()
        self._collected_in: int | None = None  # the epoch whose good images a screening of one pass collects

    def origin(self) -> dict[str, str]:
        """Say where the weights of both came from; those of the second under ``inspection_*``."""
        screening, inspection = self.stages
        return screening.origin() | {f"inspection_{name}": value for name, value in inspection.origin().items()}

    def embedding(self, image_B3HW: Tensor) -> Tensor | None:
        """Describe images as the screening model does."""
        return self.stages[0].embedding(image_B3HW)

    def export_plan(self, size: tuple[int, int]) -> ExportPlan | None:
        """Plan a graph for each stage; the screening's describes images."""
        plan = super().export_plan(size)
        if plan is None:
            return None
        screening = replace(plan.graphs[SCREENING], describe=self.stages[0].describer())
        return replace(plan, graphs={**plan.graphs, SCREENING: screening})

    def account(self, predictions: pd.DataFrame) -> Account:
        """Say which images the screening passed, and what each stage cost."""
        counts, costs = stage_counts(predictions), self.model.milliseconds()
        notes = [stage_note(counts), *self.tally.sentences(costs, tiled=self.tiling is not None)]
        return Account({"stages": counts, "screened": self.tally.to_plain()}, costs, notes)

    def own_thresholds(self) -> dict[str, Any]:
        """Return the threshold of the first stage."""
        return {} if self.model.chosen is None else {"screening": asdict(self.model.chosen)}

    def use_tiling(self, tiling: Cutting) -> None:
        """Screen tile by tile, too."""
        super().use_tiling(tiling)
        self.stages[0].use_tiling(tiling)

    def use_padding(self) -> None:
        """Tell images from their padding in both stages."""
        super().use_padding()
        for stage in self.stages:
            stage.use_padding()

    def configure_optimizers(self) -> dict[str, Any]:
        """Descend as Mask R-CNN does; EfficientAD steps beside it, and its rate falls when that of Mask R-CNN does."""
        screening, inspection = self.stages
        found = inspection.configure_optimizers()
        if isinstance(screening, OnePassModel):
            return found
        joint = JointOptimizer([found["optimizer"], screening.make_optimizer()])
        return {"optimizer": joint, "lr_scheduler": StepLR(joint, inspection.lr_step, inspection.lr_gamma)}

    def on_train_start(self) -> None:
        """Tell the screening how much will come."""
        super().on_train_start()
        screening = self.stages[0].to(self.device)
        screening.trainer = self.trainer
        screening.on_train_start()

    def training_step(self, batch: InspectionBatch, batch_idx: int) -> Tensor | None:
        """Teach both: the screening by good images, the inspection by all that are outlined."""
        del batch_idx
        losses = {f"screening_{name}": loss for name, loss in self._teach_screening(batch).items()}
        losses |= self.stages[1].losses(batch)
        return self.summed(losses, len(batch)) if losses else None

    def _teach_screening(self, batch: InspectionBatch) -> dict[str, Tensor]:
        """Collect good images for a screening of one pass, until it has fitted; return the losses of another."""
        screening = self.stages[0]
        if not isinstance(screening, OnePassModel):
            return screening.losses(batch)[0]
        if self._collected_in is None:
            self._collected_in = self.current_epoch
        good = batch.label_index != DEFECTIVE
        if self.model.chosen is None and self._collected_in == self.current_epoch and good.any():
            with torch.no_grad():
                screening.collect(self.images_of(batch)[good])
        return {}

    @torch.no_grad()
    def on_validation_start(self) -> None:
        """Fit the screening and choose its threshold: before the first calibration, EfficientAD's before every one.

        Raises:
            DataError: There were no good training images, or no labelled calibration images.
        """
        screening = self.stages[0].to(self.device)
        if self.model.chosen is not None and not getattr(screening, "is_learning", False):
            return
        screening.on_validation_start()
        scores, labels = [], []
        loader: Any = self.trainer.val_dataloaders
        for batch in track(() if loader is None else once_more(loader), "screening"):
            scores.append(self._screen(self.images_of(batch).to(self.device)).cpu())
            labels.append(batch.label_index)
        chosen = choose_screening(torch.cat(scores), torch.cat(labels), self.screening_recall, self.pass_share)
        self.model.choose(chosen)

    def on_test_start(self) -> None:
        """Start counting."""
        self.model.reset()
        self.tally = StageTally()

    def test_step(self, batch: InspectionBatch, *args: Any) -> InspectionBatch:
        """Judge as every model does, and count what the screening passed of what is marked."""
        asked: list[Tensor] = []
        self.model.asked = asked
        judged = super().test_step(batch, *args)
        self.model.asked = None
        self.tally.add(asked, self.tiling, batch.gt_mask, batch.has_mask)
        return judged

    def _screen(self, image_B3HW: Tensor) -> Tensor:
        """Score images (B,) by the first stage alone."""
        try:
            prediction, _ = self.stages[0].predict(image_B3HW)
        except UntrainedError as error:
            raise DataError(
                "Expected good training pictures for the screening model, but found none; add some, or use the "
                "inspection alone with model=mask_rcnn."
            ) from error
        return cast("Tensor", prediction.pred_score)  # anomalib's types allow None, our models do not


def _now(image_B3HW: Tensor) -> float:
    """Read the clock once the device has done its work."""
    if image_B3HW.is_cuda:
        torch.cuda.synchronize(image_B3HW.device)
    return time.perf_counter()
