"""EfficientAD: a student learns, on good images alone, to give what a teacher gives; elsewhere it fails.

Batzner et al., WACV 2024, arXiv 2303.14535; ``efficient_ad_model`` has the networks.

Shape letters: B batch, C channels of the teacher's map, h and w its cells.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from datamodules.errors import DataError
from datamodules.progress import track
from datamodules.samples.loading import once_more
from datamodules.table import DEFECTIVE

from .base import InspectionModel
from .components.efficient_ad_model import EfficientAdModel, pads
from .components.efficient_ad_nets import StudentName  # noqa: TC001 - values of a config are checked against it
from .components.padding import silenced
from .components.penalty import PenaltyImages
from .errors import keys_under
from .features.backbones import Backbone
from .features.patch_description import PATCH_DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from torch.utils.data import DataLoader

    from datamodules.samples.batch import InspectionBatch

SMALLEST = 32  # pixels along a side: below, the autoencoder has no bottleneck left
HELD_BACK_SHARE, HELD_BACK_AT_MOST = 0.1, 32  # of the training images


class EfficientAd(InspectionModel):
    """EfficientAD.

    Before the first step every training image is read once: for the teacher's statistics, and to hold a tenth of
    them back (32 at most). Before every calibration the held-back images set the scale of the two maps. The paper
    sets it by calibration images; here those stay unseen until thresholds are chosen on them.

    Args:
        teacher: Arguments of ``models.features.backbones.Backbone``.
        student: ``pdn_s`` and ``pdn_m`` are the paper's; ``loupe_net`` is far faster.
        penalty: Folder with images of anything else; None: drawn ones.
        penalty_pictures: How many crops of them to make.
        hard_quantile: Share of an image's squared differences that training ignores, in [0, 1).
        learning_rate: Of Adam; a tenth of it for the last 5 % of the steps.
        weight_decay: Of Adam.

    Raises:
        ValueError: An argument is out of range.
        WeightsError: The teacher's weights cannot be had.
    """

    sees_ground: ClassVar[bool] = True

    def __init__(
        self,
        teacher: Mapping[str, Any],
        student: StudentName = "loupe_net",
        penalty: str | None = None,
        penalty_pictures: int = 256,
        hard_quantile: float = 0.999,
        learning_rate: float = 1e-4,
        weight_decay: float = 1e-5,
    ) -> None:
        super().__init__()
        if not 0 <= hard_quantile < 1:
            raise ValueError(f"Expected model.hard_quantile to be at least 0 and below 1, but found {hard_quantile}.")
        if penalty_pictures < 1:
            raise ValueError(f"Expected model.penalty_pictures to be at least 1, but found {penalty_pictures}.")
        self.penalty, self.penalty_pictures = penalty, penalty_pictures
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.model: EfficientAdModel = EfficientAdModel(build_teacher(teacher, student), student, hard_quantile)
        self._foreign: PenaltyImages | None = None
        self._held_back: Tensor | None = None
        self._spared: set[str] = set()  # names of the images held back

    def origin(self) -> dict[str, str]:
        """Say where the teacher's weights came from."""
        return self.model.teacher.origin

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe images (B, C) by the mean of the teacher's map."""
        return self.model.join(image_B3HW).mean(dim=(2, 3))

    def check_images(self, image_B3HW: Tensor) -> None:
        """Refuse images that are too small for the autoencoder, or for networks without padding."""
        super().check_images(image_B3HW)
        (height, width), minimum = image_B3HW.shape[-2:], SMALLEST + 8 * self.model.border
        if min(height, width) < minimum:
            raise ValueError(
                f"Expected pictures of at least {minimum} pixels a side, but found {height} x {width}; "
                "set data.image_size."
            )

    def configure_optimizers(self) -> dict[str, Any]:
        """Train student and autoencoder by Adam, the last 5 % of the steps at a tenth of the rate."""
        optimizer = self.make_optimizer()
        steps = self.trainer.estimated_stepping_batches
        late = max(1, int(0.95 * steps)) if math.isfinite(steps) else 2**62
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=late, gamma=0.1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def make_optimizer(self) -> torch.optim.Optimizer:
        """Give Adam of what learns, at a rate that stays."""
        learners = [*self.model.student.parameters(), *self.model.autoencoder.parameters()]
        return torch.optim.Adam(learners, lr=self.learning_rate, weight_decay=self.weight_decay)

    @property
    def is_learning(self) -> bool:
        """Tell whether a training has begun: then every calibration sets the scale anew."""
        return self._held_back is not None

    def on_train_start(self) -> None:
        """Read the training images once, and make the foreign ones."""
        loader: Any = self.trainer.train_dataloader
        again: DataLoader[InspectionBatch] = once_more(loader)
        held_back, good = self._read_through(again, len(loader.dataset))
        self._held_back = torch.stack(list(held_back.values()))
        self._spared = set(held_back) if len(held_back) < good else set()
        side = None if self.tiling is None else self.tiling.size
        height, width = self._held_back.shape[-2:] if side is None else (side, side)
        seed = int(torch.randint(2**31, ()))
        self._foreign = PenaltyImages(self.penalty, self.penalty_pictures, height, width, seed)

    @torch.no_grad()
    def _read_through(self, loader: DataLoader[InspectionBatch], total: int) -> tuple[dict[str, Tensor], int]:
        """Fit the teacher's statistics to good images; return those to hold back, spread evenly, and how many are good.

        Raises:
            DataError: None is good.
        """
        count = min(HELD_BACK_AT_MOST, max(1, round(HELD_BACK_SHARE * total)))
        due = np.linspace(0, total - 1, count).round().astype(int).tolist()
        sums = torch.zeros(2, self.model.channels, dtype=torch.float64)
        cells, seen, good = 0, 0, 0
        held_back: dict[str, Tensor] = {}
        for batch in track(loader, "reading what the teacher says", total=math.ceil(total / (loader.batch_size or 1))):
            learnt = [index for index, label in enumerate(batch.label_index.tolist()) if label != DEFECTIVE]
            for index in learnt:
                if due and seen + index >= due[0]:
                    due.pop(0)
                    held_back[batch.name[index]] = self.images_of(batch)[index]
            seen, good = seen + len(batch), good + len(learnt)
            if not learnt:
                continue
            image_B3HW, inside_BHW = self.model.open(self.images_of(batch)[learnt].to(self.device))
            self.check_images(image_B3HW)
            grid = self._grid(image_B3HW)
            taught_BChw = self.model.join(image_B3HW, grid).double()
            inside_Bhw = None if inside_BHW is None else self.model.cells(inside_BHW, grid)
            powers = [silenced(taught_BChw**power, inside_Bhw).sum(dim=(0, 2, 3)) for power in (1, 2)]
            sums += torch.stack(powers).cpu()
            cells += taught_BChw[:, 0].numel() if inside_Bhw is None else int(inside_Bhw.sum())
        if not good:
            raise DataError("Expected good training pictures for EfficientAD, but found none; add some.")
        mean_C, square_C = sums / cells
        self.model.set_teacher_statistics(mean_C, square_C - mean_C.square())
        return held_back, good

    def _grid(self, image_B3HW: Tensor) -> tuple[int, int]:
        """Return the student's grid for images of this size."""
        height, width = (math.ceil(side / 4) - 2 * self.model.border for side in image_B3HW.shape[-2:])
        return height, width

    def training_step(self, batch: InspectionBatch, batch_idx: int) -> Tensor:
        """Learn from the images of a batch that are not held back, unless there are no others."""
        del batch_idx
        losses, count = self.losses(batch)
        for name, loss in losses.items():
            self.log(f"train/{name}", loss.detach(), batch_size=count, on_step=False, on_epoch=True)
        if not losses:
            return torch.zeros((), device=self.device, requires_grad=True)
        total = sum(losses.values(), torch.zeros((), device=self.device))
        self.log("train/loss", total.detach(), prog_bar=True, batch_size=count, on_step=False, on_epoch=True)
        return total

    def losses(self, batch: InspectionBatch) -> tuple[dict[str, Tensor], int]:
        """Compare the networks on the images of a batch to learn from; return the losses by name, and how many.

        Both are empty where the batch holds defective images and ones held back alone.
        """
        labels = batch.label_index.tolist()
        learnt = [
            index
            for index, name in enumerate(batch.name)
            if labels[index] != DEFECTIVE and self._image_of(name) not in self._spared
        ]
        if not learnt:
            return {}, 0
        if self._foreign is None:
            raise RuntimeError("Expected pictures for the penalty, but training has not been started by a trainer.")
        found = self.model.losses(self.images_of(batch)[learnt], self._foreign.draw(len(learnt)).to(self.device))
        return found._asdict(), len(learnt)

    def _image_of(self, name: str) -> str:
        """Return the name of the image that a tile was cut from."""
        return name if self.tiling is None else name.rpartition("#")[0]

    def on_validation_start(self) -> None:
        """Set the scale of the maps, before calibration images are scored with it."""
        if self._held_back is not None:
            self.model.fit_scales(self._held_back.to(self.device))


def build_teacher(teacher: Mapping[str, Any], student: str) -> Backbone:
    """Build the teacher, padding as the student does; errors name the keys of this model."""
    arguments = dict(teacher)
    if arguments.get("name") in PATCH_DESCRIPTION:
        padding = {"padding": pads(arguments["name"], student)}
        arguments["options"] = dict(arguments.get("options") or {}) | padding
    with keys_under("model.teacher"):
        return Backbone(**arguments)
