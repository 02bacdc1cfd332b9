"""What every model of Loupe is: an anomalib module that hands out raw scores and leaves decisions to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from anomalib import LearningType
from anomalib.models.components.base import AnomalibModule

if TYPE_CHECKING:
    from anomalib.data import InferenceBatch
    from torch import Tensor

    from datamodules.base import Supervision
    from datamodules.batch import InspectionBatch


class InspectionModel(AnomalibModule):
    """Base of all models, and their contract.

    * ``self.model`` is a plain ``nn.Module``. In evaluation mode it maps pictures (B, 3, H, W) in [0, 1] to an anomalib
      ``InferenceBatch`` with raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W): higher is worse, unbounded, never
      thresholded. It does its own normalisation; resizing is the datamodule's.
    * ``post_processor`` decides (see ``callbacks.Calibration``). Calibration pictures therefore meet ``self.model``
      alone, test pictures and exports the whole ``forward``.
    * The constructor takes plain values only, so that a checkpoint needs no pickled objects.

    Attributes:
        supervision: What the training pictures must bring: ``good`` (good or unlabelled ones suffice), ``labels``,
            ``masks`` or ``instances``.
        trainer_arguments: What the method dictates to the trainer, such as a single epoch.
    """

    supervision: ClassVar[Supervision] = "good"
    trainer_arguments: ClassVar[dict[str, Any]] = {}
    learning_type = LearningType.ONE_CLASS  # anomalib knows no supervised type; what counts here is ``supervision``

    def __init__(self) -> None:
        # Resizing, decisions, metrics and pictures have rooms of their own: none of anomalib's components are used.
        super().__init__(pre_processor=False, post_processor=False, evaluator=False, visualizer=False)

    def origin(self) -> dict[str, str]:
        """Say where pre-trained weights came from, if there are any: ``name``, ``weights``, ``sha256``."""
        return {}

    def embedding(self, image_B3HW: Tensor) -> Tensor | None:
        """Describe pictures (B, 3, H, W) in [0, 1] by one vector each (B, D), for maps of a data set.

        None where the method has no natural one.
        """
        del image_B3HW
        return None

    def validation_step(self, batch: InspectionBatch, *args: Any) -> InspectionBatch:
        """Score calibration pictures, raw."""
        del args
        return self._update(batch, self.model(batch.image))

    def test_step(self, batch: InspectionBatch, *args: Any) -> InspectionBatch:
        """Score and decide, by the very graph that is exported."""
        del args
        return self._update(batch, self(batch.image))

    def predict_step(self, batch: InspectionBatch, *args: Any) -> InspectionBatch:
        """Score and decide, as the test does."""
        return self.test_step(batch, *args)

    @staticmethod
    def _update(batch: InspectionBatch, prediction: InferenceBatch) -> InspectionBatch:
        """Write a prediction into its batch, in place: callbacks read the very object that the loader made."""
        for name, value in prediction._asdict().items():
            setattr(batch, name, value)
        return batch
