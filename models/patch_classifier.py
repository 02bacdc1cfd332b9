"""Patch classifier: pass or fail, learnt from labels of whole images or tiles.

Where it looks is a class-activation map (Zhou et al., CVPR 2016, arXiv 1512.04150): with average pooling before one
linear layer, an image's logit is the mean of the logits of its places.

Letters: B batch, C channels, h and w of the deepest map, H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from anomalib.data import InferenceBatch
from torch import nn, optim
from torch.nn import functional as F

from datamodules.table import DEFECTIVE, GOOD

from .base import InspectionModel
from .components.padding import SeesPadding, cells_inside
from .features.joined_backbone import build_features

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from datamodules.samples.batch import InspectionBatch
    from datamodules.samples.supervision import Supervision

    from .features.joined_backbone import Features


class PatchClassifierModel(SeesPadding):
    """The network: the deepest features, and one linear layer.

    Args:
        backbone: From images in [0, 1] to feature maps; only the last is used.
        learns: Whether the backbone learns too; otherwise it stays frozen.
    """

    def __init__(self, backbone: Features, *, learns: bool) -> None:
        super().__init__()
        self.backbone = backbone
        self.learns = learns
        for network in self.backbone.bare():
            network.requires_grad_(learns)
        self.head = nn.Conv2d(backbone.shapes()[-1][0], 1, 1)

    def train(self, mode: bool = True) -> PatchClassifierModel:
        """Let batch norm learn where the backbone does."""
        super().train(mode)
        for network in self.backbone.bare():
            network.train(mode and self.learns)
        return self

    def logits(self, image_B3HW: Tensor) -> Tensor:
        """Return the logit of every place: (B, 1, h, w)."""
        logit_B1hw: Tensor = self.head(self.backbone(image_B3HW)[-1])
        return logit_B1hw.float()

    def judge(self, image_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit of every image (B,), the mean of those of its places, and these: (B, 1, h, w)."""
        image_B3HW, inside_BHW = self.open(image_B3HW)
        logit_B1hw = self.logits(image_B3HW)
        if inside_BHW is None:
            return logit_B1hw.mean(dim=(1, 2, 3)), logit_B1hw
        inside_B1hw = cells_inside(inside_BHW, *logit_B1hw.shape[-2:]).unsqueeze(1)
        count_B = inside_B1hw.sum(dim=(1, 2, 3))
        mean_B = (logit_B1hw * inside_B1hw).sum(dim=(1, 2, 3)) / count_B.clamp_min(1)
        return torch.where(count_B > 0, mean_B, float("-inf")), logit_B1hw

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images by logits: raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W), whose mean is the score."""
        score_B, logit_B1hw = self.judge(image_B3HW)
        map_B1HW = F.interpolate(logit_B1hw, size=image_B3HW.shape[-2:], mode="bilinear")
        return InferenceBatch(pred_score=score_B, anomaly_map=map_B1HW.squeeze(1))


class PatchClassifier(InspectionModel):
    """A classifier of good and defective images, both of which it must see in training.

    Args:
        backbone: Arguments of ``models.features.joined_backbone.build_features``; the last of its layers is used,
            and the deepest is best.
        learning_rate: Of AdamW, for the linear layer.
        backbone_learning_rate: Of AdamW, for the backbone; 0 keeps it as it is.
        weight_decay: Of AdamW.

    Raises:
        ValueError: An argument is out of range.
    """

    supervision: ClassVar[Supervision] = "labels"
    seen_2: Tensor

    def __init__(
        self,
        backbone: Mapping[str, Any],
        learning_rate: float = 1e-3,
        backbone_learning_rate: float = 1e-4,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__()
        if learning_rate <= 0 or backbone_learning_rate < 0:
            raise ValueError(
                "Expected model.learning_rate to be above 0 and model.backbone_learning_rate to be at least 0, but "
                f"found {learning_rate} and {backbone_learning_rate}."
            )
        self.learning_rate = learning_rate
        self.backbone_learning_rate = backbone_learning_rate
        self.weight_decay = weight_decay
        self.model: PatchClassifierModel = PatchClassifierModel(
            build_features(backbone), learns=backbone_learning_rate > 0
        )
        self.register_buffer("seen_2", torch.zeros(2))  # good and defective training images, so far

    def origin(self) -> dict[str, str]:
        """Say where the backbone's weights came from."""
        return self.model.backbone.origin

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe images (B, C) by what the linear layer sees."""
        deepest: Tensor = self.model.backbone(image_B3HW)[-1]
        return deepest.mean(dim=(2, 3))

    def configure_optimizers(self) -> optim.Optimizer:
        """AdamW, with a rate for the linear layer and one for the backbone, if that learns."""
        groups = [{"params": list(self.model.head.parameters()), "lr": self.learning_rate}]
        if self.model.learns:
            network = self.model.backbone.network
            groups.append({"params": list(network.parameters()), "lr": self.backbone_learning_rate})
        return optim.AdamW(groups, weight_decay=self.weight_decay)

    def training_step(self, batch: InspectionBatch, batch_idx: int) -> Tensor:
        """Return the cross-entropy; both classes weigh the same, however many images they have."""
        del batch_idx
        label_N = batch.label_index
        counted = torch.stack([(label_N == GOOD).sum(), (label_N == DEFECTIVE).sum()])
        self.seen_2 += counted
        logit_N, _ = self.model.judge(self.images_of(batch))
        loss = balanced_cross_entropy(logit_N, label_N, self.seen_2)
        self.log_loss(loss, batch)
        return loss


def balanced_cross_entropy(logit_N: Tensor, label_N: Tensor, count_2: Tensor) -> Tensor:
    """Average the binary cross-entropy over images of known label.

    Args:
        logit_N: Raw.
        label_N: 0 good, 1 defective, -1 unknown.
        count_2: How often good and defective images are seen; a class weighs by the inverse of its share.
    """
    weight_2 = count_2.sum() / (2 * count_2.clamp_min(1))
    weight_N = torch.where(label_N >= GOOD, weight_2[label_N.clamp_min(GOOD)], 0.0)
    loss_N = F.binary_cross_entropy_with_logits(logit_N, (label_N == DEFECTIVE).float(), reduction="none")
    return (weight_N * loss_N).sum() / (label_N >= GOOD).sum().clamp_min(1)
