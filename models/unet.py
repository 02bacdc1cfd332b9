"""U-Net and its kin: a supervised network that marks pixels, such as inclusions, grain boundaries or defects.

Letters: B batch, C channels, H and W pixels, N images of a batch that were marked.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from anomalib.data import InferenceBatch
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from .base import InspectionModel
from .components.maps import mean_over_turns
from .components.padding import SeesPadding
from .components.pooling import check_share, top_mean
from .components.segmentation import Architecture, dice_bce_loss, focal_loss, load_encoder, segmentation_network
from .features.in_parts import in_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segmentation_models_pytorch.base import SegmentationModel
    from torch import Tensor

    from datamodules.samples.batch import InspectionBatch
    from datamodules.samples.supervision import Supervision

Loss = Literal["dice_bce", "focal"]
LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {"dice_bce": dice_bce_loss, "focal": focal_loss}
WARM_UP = 0.1  # share of the steps during which the learning rate rises
WIDEST = 3  # times the width of a decoder: what its last stage sees, of the stage below and of the encoder


class UnetModel(SeesPadding):
    """The network, its normalisation, and its score.

    Args:
        network: From (B, 3, H, W) to logits (B, 1, H, W).
        mean: Per channel, of images in [0, 1].
        std: Per channel.
        top_share: Share of the pixels whose mean is the score.
        all_turns: Judge every image in its eight turns and flips.
        widest: Channels of the largest map, were it as large as the image.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: SegmentationModel,
        mean: Sequence[float],
        std: Sequence[float],
        top_share: float,
        all_turns: bool,
        widest: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.widest = widest
        self.top_share = top_share
        self.all_turns = all_turns
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def logits(self, image_B3HW: Tensor) -> Tensor:
        """Return one raw value per pixel, (B, H, W): above 0 where a mark is more likely than none."""
        largest = self.widest * image_B3HW.shape[-2] * image_B3HW.shape[-1]
        return in_parts(self.network, (image_B3HW - self.mean) / self.std, largest).squeeze(1)

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images: logits as ``anomaly_map`` (B, H, W), and the mean of the highest as ``pred_score`` (B,)."""
        image_B3HW, inside_BHW = self.open(image_B3HW)
        map_BHW = mean_over_turns(self.logits, image_B3HW) if self.all_turns else self.logits(image_B3HW)
        return InferenceBatch(pred_score=top_mean(map_BHW, self.top_share, inside_BHW), anomaly_map=map_BHW)


class Unet(InspectionModel):
    """U-Net and its kin by segmentation-models-pytorch, trained on masks (AdamW, cosine schedule with warm-up).

    Images whose pixels nobody marked are left out of the loss, and so is padding.

    Args:
        architecture: Its class there.
        encoder: ``plain`` (small, full resolution, untrained), or the name of an encoder there, such as ``resnet18``;
            ``tu-`` stands before the name of any network of timm.
        depth: Stages of the encoder.
        width: Channels at the finest stage, doubled at every coarser one: of ``plain``, and of U-Net decoders.
        weights: Of the encoder: ``none``, or the path of a file that it can load.
        mean: Per channel, of images in [0, 1], as the weights want it.
        std: Per channel.
        loss: ``dice_bce``, or ``focal`` (alpha 0.2, gamma 2) as MLography trains.
        top_share: Share of the pixels, the highest, whose mean is the score: small defects need a small one.
        all_turns: Judge every image in its eight turns and flips and take the mean, in eight times the time: for
            material that has no upright. Training is the same.
        learning_rate: At its peak.
        weight_decay: Of AdamW.

    Raises:
        ValueError: An argument is out of range, or there is no such encoder.
        WeightsError: The file of weights cannot be used.
    """

    supervision: ClassVar[Supervision] = "masks"
    monitor: ClassVar[str] = "calibration/pixel_objective"

    def __init__(
        self,
        architecture: Architecture = "Unet",
        encoder: str = "plain",
        depth: int = 4,
        width: int = 16,
        weights: str = "none",
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        loss: Loss = "dice_bce",
        top_share: float = 0.001,
        all_turns: bool = False,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__()
        if depth < 1 or width < 2:
            raise ValueError(
                f"Expected model.depth to be at least 1 and model.width at least 2, but found {depth} and {width}."
            )
        check_share(top_share, "model.top_share")
        network = segmentation_network(architecture, encoder, depth, width)
        network.to(memory_format=torch.channels_last)  # a quarter less time per step on a processor
        self.model: UnetModel = UnetModel(network, mean, std, top_share, all_turns, WIDEST * width)
        self.weights = load_encoder(network, encoder, weights)
        self.size_multiple = network.encoder.output_stride if network.requires_divisible_input_shape else 1
        self.loss_name: Loss = loss
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay

    def origin(self) -> dict[str, str]:
        """Say where the encoder's weights came from."""
        return self.weights

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe images (B, C) by the mean of the encoder's coarsest features."""
        coarsest: Tensor = self.model.network.encoder((image_B3HW - self.model.mean) / self.model.std)[-1]
        return coarsest.mean(dim=(2, 3))

    def configure_optimizers(self) -> dict[str, Any]:
        """Ask for AdamW, with a learning rate that rises for a tenth of the steps and then falls along a cosine."""
        optimizer = AdamW(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        schedule = LambdaLR(optimizer, partial(warm_cosine, steps=self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, batch: InspectionBatch, batch_idx: int) -> Tensor:
        """Compare logits with masks; return the loss, 0 where nobody marked any image of the batch."""
        del batch_idx
        logit_BHW = self.model.logits(batch.image)
        known_B, inside_BHW = batch.has_mask, batch.inside
        logit, mask = logit_BHW[known_B], batch.gt_mask[known_B].to(logit_BHW.dtype)
        if inside_BHW is not None:  # padding repeats the edge of its image, and a mark that touches the edge with it
            inside = inside_BHW[known_B]
            logit, mask = logit[inside], mask[inside]
        loss = LOSSES[self.loss_name](logit, mask) if len(mask) else 0 * logit_BHW.sum()
        self.log_loss(loss, batch)
        return loss


def warm_cosine(step: int, steps: float) -> float:
    """Return what the learning rate is multiplied by: it rises for a tenth of the steps, then falls along a cosine.

    Where the number of steps is not known (infinite), it stays at its peak.
    """
    warm = max(1.0, WARM_UP * steps) if math.isfinite(steps) else 1.0
    if step < warm:
        return (step + 1) / (warm + 1)
    done = (step - warm) / max(1.0, steps - warm) if math.isfinite(steps) else 0.0
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
