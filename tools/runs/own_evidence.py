"""What a model that learnt more images makes of them as evidence: each is judged as if it had not been learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callbacks.decisions.calibration import Calibrate, calibration_of
from datamodules.errors import DataError, UnreadableImageError
from datamodules.progress import track
from datamodules.samples.batch import Sample, collate
from datamodules.samples.dataset import image_tensor
from datamodules.table import GOOD
from models.one_pass import OnePassModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lightning import LightningModule, Trainer
    from torch import Tensor

    from datamodules.files.images import Array
    from datamodules.samples.dataset import Reading

MOST = 100  # images that are judged; of more, so many at even steps


class CalibrateByOwn(Calibrate):
    """Calibrates by good images that the model learnt as well, each judged by the model without it.

    Where fewer were added than ``threshold.min_images``, none counts: without it, little of its look is left in the
    model, and a single one that nothing resembles would decide where the threshold lies.

    Args:
        added: Images that the model learnt, besides those of its training.
        read: Reads one of them.
        learns: Makes of an image what the model has to see to forget it.
        reading: How images become tensors.

    Attributes:
        judged: How many of them count.
        lost: How many do not, since they are not where they were, or the model is nothing without them.
        needed: How many it takes, where there are too few; 0: there are enough, or none.
    """

    def __init__(
        self,
        added: Sequence[str],
        read: Callable[[str], Array],
        learns: Callable[[str], Tensor],
        reading: Reading,
    ) -> None:
        self.added = list(added)[:: -(-len(added) // MOST)] if added else []
        self.judged = self.lost = self.needed = 0
        self._read = read
        self._learns = learns
        self._reading = reading

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Judge them, after the calibration images; then choose thresholds by all."""
        fewest = calibration_of(pl_module).min_images
        self.needed = fewest if 0 < len(self.added) < fewest else 0
        if isinstance(pl_module, OnePassModel) and not self.needed:
            pl_module.get_ready_without(self.added, self._learns)
            for path in track(self.added, "judging what was added"):
                self._judge(path, pl_module)
        super().on_validation_epoch_end(trainer, pl_module)

    def _judge(self, path: str, module: OnePassModel) -> None:
        try:
            values = self._read(path)
            tensor, frame = image_tensor(values, self._reading), self._reading.frame(values.shape)
            sample = self._reading.on_part(Sample(tensor, path, path, GOOD, frame=frame))
            batch = collate([sample]).to(module.device)
            with module.without(path, self._learns):
                calibration_of(module).update(module.validation_step(batch))
        except (OSError, UnreadableImageError, DataError):
            self.lost += 1
        else:
            self.judged += 1

    def describe(self) -> str:
        """Say what thresholds rest on besides calibration images; nothing where there is nothing to say."""
        if self.needed:
            return (
                f"Added images count for thresholds as well from {self.needed} on (threshold.min_images); so far "
                f"{len(self.added)} {'is' if len(self.added) == 1 else 'are'} in the model."
            )
        lost = f" {self.lost} more could not be judged so, and do not count." if self.lost else ""
        if not self.judged:
            return lost.strip()
        return (
            f"Thresholds rest on {self.judged} images that were added, too: each counts as a good one, judged without "
            f"what the model learnt from it.{lost}"
        )
