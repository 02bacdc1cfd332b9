"""Dinomaly: a transformer rebuilds the tokens of DINOv2 through a noisy bottleneck (Guo et al. 2025, arXiv 2405.14325).

anomalib's own bottleneck, decoder, loss, optimiser and map, on a vision transformer of Loupe's backbones.

Letters: B batch, T tokens, D width, L layers, H and W pixels, h and w patches along the axes.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from anomalib.data import InferenceBatch
from anomalib.models.components import GaussianBlur2d
from anomalib.models.image.dinomaly.components import (
    CosineHardMiningLoss,
    DinomalyMLP,
    LinearAttention,
    StableAdamW,
)
from anomalib.models.image.dinomaly.torch_model import DecoderViTBlock
from anomalib.models.image.dinomaly.torch_model import DinomalyModel as AnomalibModel
from timm.models.vision_transformer import VisionTransformer
from torch import nn, optim
from torch.nn import functional as F

from .base import InspectionModel
from .components.padding import SeesPadding, cells_inside
from .components.pooling import top_mean
from .features.backbones import Backbone
from .features.joined_backbone import require_one

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lightning.pytorch.utilities.types import OptimizerLRScheduler
    from torch import Tensor

    from datamodules.samples.batch import InspectionBatch

SCORE_SIDE = 256  # images are scored by maps of this size, whatever their own
WORST_SHARE = 0.01  # of the map's pixels, whose mean is the image's score


class DinomalyModel(SeesPadding):
    """The network.

    Args:
        backbone: A vision transformer, frozen.
        dropout: Of the bottleneck: the noise that keeps the decoder from copying.

    Raises:
        ValueError: The backbone is not a vision transformer, or sees images in mirrors.
    """

    def __init__(self, backbone: Backbone, dropout: float) -> None:
        super().__init__()
        network: Any = backbone.network
        found = getattr(network, "model", None)
        if not isinstance(found, VisionTransformer):
            raise ValueError(  # noqa: TRY004 - a choice of the user's, which becomes an error of the config
                f"Expected a backbone with tokens, since Dinomaly rebuilds them, but {backbone.origin['name']} has "
                "none; set backbone=dinov2_small or backbone=dinov2_base."
            )
        if backbone.mirrored:
            raise ValueError(
                "Expected tokens of images as they are, but found backbone.mirrored=true; set it to false."
            )
        encoder: Any = found
        self.backbone = backbone
        width, heads = encoder.embed_dim, encoder.blocks[0].attn.num_heads
        self.patch = int(encoder.patch_embed.patch_size[0])
        self.prefix = int(encoder.num_prefix_tokens)
        self.bottleneck = DinomalyMLP(width, 4 * width, width, drop=dropout, apply_input_dropout=True)
        self.decoder = nn.ModuleList(
            DecoderViTBlock(
                width,
                heads,
                mlp_ratio=4.0,
                qkv_bias=True,
                norm_layer=partial(nn.LayerNorm, eps=1e-8),  # type: ignore[arg-type]  # annotated as a class
                attn=LinearAttention,
            )
            for _ in network.out_indices
        )
        self.blur = GaussianBlur2d(sigma=4, channels=1, kernel_size=5)

    def tokens(self, image_B3HW: Tensor) -> list[Tensor]:
        """Return L layers of tokens (B, T, D): class and registers first, then patches."""
        wrapper: Any = self.backbone.network
        layers = wrapper.model.forward_intermediates(
            self.backbone.normalize(image_B3HW),
            indices=wrapper.out_indices,
            norm=False,
            return_prefix_tokens=True,
            output_fmt="NLC",
            intermediates_only=True,
        )
        return [torch.cat([prefix, patches], dim=1).float() for patches, prefix in layers]

    def features(self, image_B3HW: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return two groups of layers as maps (B, D, h, w), shallow and deep: as found, and as rebuilt."""
        found = self.tokens(image_B3HW)
        token_BTD = self.bottleneck(torch.stack(found).mean(dim=0))
        rebuilt = []
        for block in self.decoder:
            token_BTD = block(token_BTD)
            rebuilt.append(token_BTD)
        height, width = (side // self.patch for side in image_B3HW.shape[-2:])
        return self._groups(found, height, width), self._groups(rebuilt[::-1], height, width)

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images: raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W), 1 minus cosines, from 0 to 2."""
        image_B3HW, inside_BHW = self.open(image_B3HW)
        found, rebuilt = self.features(image_B3HW)
        height, width = image_B3HW.shape[-2:]
        map_B1HW, _ = AnomalibModel.calculate_anomaly_maps(found, rebuilt, out_size=(height, width))
        small_B1SS = F.interpolate(map_B1HW, size=SCORE_SIDE, mode="bilinear", align_corners=False)
        inside_BSS = None if inside_BHW is None else cells_inside(inside_BHW, SCORE_SIDE, SCORE_SIDE)
        score_B = top_mean(self.blur(small_B1SS).squeeze(1), WORST_SHARE, inside_BSS)
        return InferenceBatch(pred_score=score_B, anomaly_map=map_B1HW.squeeze(1))

    def compared(self, image_B3HW: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return what ``features`` does, for a loss: where an image is padded, nothing is left to be rebuilt."""
        image_B3HW, inside_BHW = self.open(image_B3HW)
        found, rebuilt = self.features(image_B3HW)
        if inside_BHW is not None:
            inside_B1hw = cells_inside(inside_BHW, *found[0].shape[-2:]).unsqueeze(1)
            rebuilt = [torch.where(inside_B1hw, new, old) for new, old in zip(rebuilt, found, strict=True)]
        return found, rebuilt

    def _groups(self, layers: list[Tensor], height: int, width: int) -> list[Tensor]:
        half = len(layers) // 2
        means = [torch.stack(group).mean(dim=0) for group in (layers[:half], layers[half:])]
        return [mean[:, self.prefix :].mT.reshape(mean.shape[0], -1, height, width).float() for mean in means]


class Dinomaly(InspectionModel):
    """Dinomaly.

    Args:
        backbone: Arguments of ``models.features.backbones.Backbone``: a vision transformer, eight of its middle layers.
        dropout: Of the bottleneck.
        learning_rate: Of StableAdamW, after ``warmup_steps``.
        final_learning_rate: At the end, by a cosine.
        warmup_steps: From no learning to the whole rate; at most half of all steps.
        weight_decay: Of StableAdamW.

    Raises:
        ValueError: The backbone is not a vision transformer, or has fewer than two layers.
    """

    trainer_arguments: ClassVar[dict[str, Any]] = {"gradient_clip_val": 0.1}
    sees_ground: ClassVar[bool] = True

    def __init__(
        self,
        backbone: Mapping[str, Any],
        dropout: float = 0.2,
        learning_rate: float = 2e-3,
        final_learning_rate: float = 2e-4,
        warmup_steps: int = 100,
        weight_decay: float = 1e-4,
    ) -> None:
        super().__init__()
        backbone = require_one(backbone, "Dinomaly", "a vision transformer")
        if len(backbone["layers"]) < 2:
            raise ValueError(f"Expected backbone.layers to be at least two, but found {list(backbone['layers'])}.")
        self.learning_rate = learning_rate
        self.final_learning_rate = final_learning_rate
        self.warmup_steps = warmup_steps
        self.weight_decay = weight_decay
        self.loss = CosineHardMiningLoss()
        self.model: DinomalyModel = DinomalyModel(Backbone(**backbone), dropout)
        self.size_multiple = self.model.patch
        for module in self._learnt().modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.01, a=-0.03, b=0.03)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def origin(self) -> dict[str, str]:
        """Say where the backbone's weights came from."""
        return self.model.backbone.origin

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe images (B, D) by the class token of the deepest layer."""
        return self.model.tokens(image_B3HW)[-1][:, 0]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """StableAdamW over bottleneck and decoder, its rate set at every step."""
        total = int(self.trainer.estimated_stepping_batches)
        optimizer = StableAdamW(
            self._learnt().parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, amsgrad=True
        )
        warmup, final = min(self.warmup_steps, total // 2), self.final_learning_rate / self.learning_rate
        scheduler = optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_cosine(step, total, warmup, final))
        # anomalib moves along this schedule of steps once an epoch, and hardly leaves the warm-up.
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def training_step(self, batch: InspectionBatch, batch_idx: int) -> Tensor:
        """Return 1 minus cosines, of which easy places count less and less."""
        del batch_idx
        found, rebuilt = self.model.compared(self.images_of(batch))
        loss: Tensor = self.loss(found, rebuilt, self.global_step)
        self.log_loss(loss, batch)
        return loss

    def _learnt(self) -> nn.ModuleList:
        return nn.ModuleList([self.model.bottleneck, self.model.decoder])


def warm_cosine(step: int, total: int, warmup: int, final: float) -> float:
    """Return the share of the learning rate at a step: from 0 to 1 in ``warmup`` steps, then by a cosine to ``final``.

    What anomalib's scheduler tabulates in an array, which has no place in a checkpoint of plain values.
    """
    if step < warmup:
        return step / max(1, warmup - 1)
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    return final + 0.5 * (1 - final) * (1 + math.cos(math.pi * progress))
