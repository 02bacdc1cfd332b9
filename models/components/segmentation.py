"""Networks that mark pixels: U-Net and its kin from segmentation-models-pytorch, and losses for thin and rare marks.

Letters: B batch, C channels, H and W pixels, N images that were marked.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import segmentation_models_pytorch as smp
import timm
import torch
from segmentation_models_pytorch.base import SegmentationHead, SegmentationModel
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from segmentation_models_pytorch.encoders import TimmUniversalEncoder, get_encoder_names
from torch import nn
from torch.nn import functional as F

from models.errors import keys_under
from models.features.backbones import UNTRAINED, load_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

Architecture = Literal[
    "Unet",
    "UnetPlusPlus",
    "MAnet",
    "Linknet",
    "FPN",
    "PSPNet",
    "PAN",
    "DeepLabV3",
    "DeepLabV3Plus",
    "UPerNet",
    "Segformer",
]
WITH_DECODER_CHANNELS = {"Unet", "UnetPlusPlus", "MAnet"}
WITH_DEPTH = {*WITH_DECODER_CHANNELS, "Linknet", "FPN"}
PLAIN = "plain"
TIMM_PREFIX = "tu-"


def double_convolution(before: int, after: int) -> nn.Sequential:
    """Two 3 x 3 convolutions with batch normalisation and ReLU: a stage of the original U-Net."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [nn.Conv2d(channels, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class PlainEncoder(nn.Module):
    """The encoder of the original U-Net, narrower: its finest features are as large as the image.

    Networks made for classification halve the image at once, and lines of three pixels suffer.

    Args:
        widths: Channels of the stages, from the finest.

    Source: Ronneberger, Fischer and Brox, "U-Net", MICCAI 2015, with padding and batch normalisation.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.out_channels = [3, *widths]
        self.output_stride = 2 ** (len(widths) - 1)
        self.stages = nn.ModuleList(
            double_convolution(before, after) for before, after in zip([3, *widths], widths, strict=False)
        )

    def forward(self, image_B3HW: Tensor) -> list[Tensor]:
        """Return the image and the features of every stage, each half as large as the one before, rounded up."""
        features = [image_B3HW]
        for index, stage in enumerate(self.stages):
            before = features[-1] if index == 0 else F.max_pool2d(features[-1], 2, ceil_mode=True)
            features.append(stage(before))
        return features


class PlainUnet(SegmentationModel):  # type: ignore[misc]  # the library is untyped
    """U-Net with the plain encoder and the decoder of segmentation-models-pytorch.

    Args:
        widths: Channels of the stages, from the finest.
    """

    requires_divisible_input_shape = False

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.encoder = PlainEncoder(widths)
        channels = [*reversed(widths[:-1]), widths[0]]
        self.decoder = UnetDecoder(self.encoder.out_channels, channels, n_blocks=len(channels))
        self.segmentation_head = SegmentationHead(channels[-1], 1, kernel_size=1)
        self.classification_head = None
        self.initialize()


def segmentation_network(architecture: Architecture, encoder: str, depth: int, width: int) -> SegmentationModel:
    """Build an untrained network from images (B, 3, H, W) to one logit per pixel (B, 1, H, W).

    Args:
        architecture: A class of segmentation-models-pytorch.
        encoder: ``plain``, or one of its encoders; ``tu-`` stands before the name of any network of timm.
        depth: Stages of the encoder, where the architecture leaves a choice.
        width: Channels at the finest stage, doubled at every coarser one: of ``plain``, and of U-Net decoders.

    Raises:
        ValueError: There is no such encoder, or it does not go with the architecture.
    """
    widths = [width * 2**level for level in range(depth)]
    if encoder == PLAIN:
        if architecture != "Unet":
            raise ValueError(f"Expected model.encoder=plain to go with Unet, but found {architecture}; choose another.")
        return PlainUnet(widths)
    options: dict[str, Any] = {"encoder_depth": depth} if architecture in WITH_DEPTH else {}
    if architecture in WITH_DECODER_CHANNELS:
        options["decoder_channels"] = widths[::-1]
    known = [PLAIN, *get_encoder_names(), *(f"{TIMM_PREFIX}{name}" for name in timm.list_models())]
    if encoder not in known:
        near = ", ".join(get_close_matches(encoder, known, n=5, cutoff=0.4)) or "see its documentation"
        raise ValueError(
            f"Expected model.encoder to be plain, or an encoder of segmentation-models-pytorch, but found {encoder!r}; "
            f"near: {near}."
        )
    try:
        network: SegmentationModel = getattr(smp, architecture)(
            encoder_name=encoder, encoder_weights=None, in_channels=3, classes=1, **options
        )
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"Expected model.encoder and model.depth to suit {architecture}, but found {encoder} and {depth}: {error}"
        ) from error
    return network


def load_encoder(network: SegmentationModel, encoder: str, weights: str) -> dict[str, str]:
    """Load a file of weights into a network's encoder, and say where they came from; ``none`` loads nothing.

    Raises:
        WeightsError: The file cannot be used.
    """
    if weights == UNTRAINED:
        return {}
    inner = network.encoder
    part = inner.model if isinstance(inner, TimmUniversalEncoder) else inner
    with keys_under("model"):
        sha256 = load_weights(part, Path(weights).expanduser())
    return {"name": encoder, "weights": weights, "sha256": sha256}


def dice_loss(logit_NHW: Tensor, mask_NHW: Tensor) -> Tensor:
    """Return one minus the soft Dice coefficient over all pixels of a batch, in [0, 1]; a list of pixels will do, too.

    Over the batch and not per image, so that images without marks do no more than add false ones.

    Source: Milletari, Navab and Ahmadi, "V-Net", 3DV 2016.
    """
    probability_NHW = logit_NHW.sigmoid()
    shared = (probability_NHW * mask_NHW).sum()
    return 1 - (2 * shared + 1) / (probability_NHW.sum() + mask_NHW.sum() + 1)


def dice_bce_loss(logit_NHW: Tensor, mask_NHW: Tensor) -> Tensor:
    """Add Dice loss and binary cross-entropy: the one looks at marks as a whole, the other at every pixel."""
    return dice_loss(logit_NHW, mask_NHW) + F.binary_cross_entropy_with_logits(logit_NHW, mask_NHW)


def focal_loss(logit_NHW: Tensor, mask_NHW: Tensor, alpha: float = 0.2, gamma: float = 2.0) -> Tensor:
    """Cross-entropy that leaves out what is easy: ``-a (1 - p)^gamma log p`` of the right class, the mean over pixels.

    Args:
        logit_NHW: Raw.
        mask_NHW: 1 on marks, 0 elsewhere, floating.
        alpha: Weight ``a`` of marked pixels; of all others it is ``1 - alpha``. 0.2 is what MLography uses.
        gamma: How fast easy pixels lose weight.

    Source: Lin, Goyal, Girshick, He and Dollar, "Focal loss for dense object detection", ICCV 2017, eq. 5.
    """
    cross_entropy = F.binary_cross_entropy_with_logits(logit_NHW, mask_NHW, reduction="none")
    right = torch.exp(-cross_entropy)
    weight = alpha * mask_NHW + (1 - alpha) * (1 - mask_NHW)
    return (weight * (1 - right) ** gamma * cross_entropy).mean()
