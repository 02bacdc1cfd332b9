"""STFPM: a student that saw good images alone differs from its teacher on defects.

Wang et al., BMVC 2021, arXiv 2103.04257.

anomalib's own loss and map, on Loupe's backbones; the student is an untrained network of the teacher's architecture.

Letters: B batch, H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from anomalib.data import InferenceBatch
from anomalib.models.image.stfpm.anomaly_map import AnomalyMapGenerator
from anomalib.models.image.stfpm.loss import STFPMLoss
from torch import nn, optim

from .base import InspectionModel
from .components.padding import SeesPadding, cells_inside, silenced, worst
from .features.backbones import LOUPE_NET, UNTRAINED, Backbone
from .features.joined_backbone import require_one

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from datamodules.samples.batch import InspectionBatch


class STFPMModel(SeesPadding):
    """The network: a teacher and its student.

    Args:
        teacher: From images in [0, 1] to feature maps; frozen.
        student: From normalised images to maps of the same shapes.
    """

    def __init__(self, teacher: Backbone, student: nn.Module) -> None:
        super().__init__()
        self.teacher = teacher
        self.student = student

    def features(self, image_B3HW: Tensor) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """Return the maps of the teacher and of the student, by level; 0 in both where an image is padded."""
        image_B3HW, inside_BHW = self.open(image_B3HW)
        taught = self.teacher(image_B3HW)
        learnt = self.student(self.teacher.normalize(image_B3HW))
        cells = [None if inside_BHW is None else cells_inside(inside_BHW, *level.shape[-2:]) for level in taught]
        taught = [silenced(feature, inside) for feature, inside in zip(taught, cells, strict=True)]
        learnt = [silenced(feature.float(), inside) for feature, inside in zip(learnt, cells, strict=True)]
        return dict(enumerate(taught)), dict(enumerate(learnt))

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images: raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W).

        The product, over levels, of 1 minus the cosine of what both say: from 0 to 2 for each level.
        """
        taught, learnt = self.features(image_B3HW)
        size = image_B3HW.shape[-2:]
        maps = [AnomalyMapGenerator.compute_layer_map(taught[level], learnt[level], size) for level in taught]
        map_BHW = torch.cat(maps, dim=1).prod(dim=1)
        return InferenceBatch(pred_score=worst(map_BHW, self.open(image_B3HW)[1]), anomaly_map=map_BHW)


class STFPM(InspectionModel):
    """STFPM: student-teacher feature pyramid matching.

    Args:
        backbone: Arguments of ``models.features.backbones.Backbone``, for the teacher.
        learning_rate: Of SGD.
        momentum: Of SGD.
        weight_decay: Of SGD.

    Raises:
        ValueError: There are several backbones.
    """

    sees_ground: ClassVar[bool] = True

    def __init__(
        self,
        backbone: Mapping[str, Any],
        learning_rate: float = 0.4,
        momentum: float = 0.9,
        weight_decay: float = 1e-3,
    ) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.loss = STFPMLoss()
        only = require_one(backbone, "STFPM", "whose student copies its teacher")
        self.model: STFPMModel = STFPMModel(Backbone(**only), untrained_copy(only))

    def origin(self) -> dict[str, str]:
        """Say where the teacher's weights came from."""
        return self.model.teacher.origin

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe images (B, D) by the mean of the teacher's deepest features."""
        deepest: Tensor = self.model.teacher(image_B3HW)[-1]
        return deepest.mean(dim=(2, 3))

    def configure_optimizers(self) -> optim.Optimizer:
        """Return SGD over the student's parameters."""
        return optim.SGD(
            self.model.student.parameters(),
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )

    def training_step(self, batch: InspectionBatch, batch_idx: int) -> Tensor:
        """Return how far the student is from its teacher, per image.

        anomalib sums over the batch, so that the best learning rate depends on the batch size; this is the mean.
        """
        del batch_idx
        loss: Tensor = self.loss(*self.model.features(self.images_of(batch))) / len(batch)
        self.log_loss(loss, batch)
        return loss


def untrained_copy(backbone: Mapping[str, Any]) -> nn.Module:
    """Build a trainable, untrained network of a backbone's architecture.

    A ``loupe_net`` learns with batch norm, which is folded away in the one that ships.
    """
    options = dict(backbone.get("options") or {})
    if backbone["name"] == LOUPE_NET:
        options["batch_norm"] = True
    return Backbone(**{**backbone, "weights": UNTRAINED, "options": options}).network.requires_grad_(True)
