"""torchvision's Mask R-CNN, as it comes with a ResNet-50, or small and on any backbone.

He et al., "Mask R-CNN", ICCV 2017, arXiv 1703.06870; with a feature pyramid, arXiv 1612.03144; the second version on a
ResNet-50: Li et al., "Benchmarking Detection Transfer Learning with Vision Transformers", arXiv 2111.11429.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import URLError
from urllib.request import Request, urlopen

import torch
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights, maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNN, MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign

from models.errors import WeightsError
from models.features.backbones import HUB, HUB_TIMEOUT_S, UNTRAINED, load_weights
from models.features.fpn import BackboneFpn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from models.features.joined_backbone import Features

RESNET50 = "maskrcnn_resnet50_fpn_v2"
COCO_CLASSES = 91  # of the weights for the ResNet-50, the background included
ANCHOR_SIDES = (4.0, 5.7)  # in cells: defects are often smaller than what COCO's anchors, 8 cells wide, were made for
ASPECTS = (0.5, 1.0, 2.0)
BOX_CELLS, MASK_CELLS = 7, 14  # that a proposal is pooled to, for its box and for its mask
INSIDE = "inside"  # of a target: which pixels show the image
PASSED_OVER = -1.0  # of an anchor: torchvision's label for what is neither
SAMPLED_PROPOSALS = 128  # per image, that the second stage of the small network learns from


class FramedProposals(RegionProposalNetwork):  # type: ignore[misc]  # torchvision has no annotations for mypy
    """The first stage, which learns nothing of boxes that have their middle in the padding of their image."""

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Match anchors with targets; -1 says that one is to be passed over."""
        labels, matched = super().assign_targets_to_anchors(anchors, targets)
        for label_A, anchor_A4, target in zip(labels, anchors, targets, strict=True):
            if INSIDE in target:
                label_A[~in_image(anchor_A4, target[INSIDE])] = PASSED_OVER
        return labels, matched


class FramedHeads(RoIHeads):  # type: ignore[misc]  # likewise
    """The second stage, which learns nothing of such boxes either."""

    def select_training_samples(self, proposals: list[Tensor], targets: list[dict[str, Tensor]] | None) -> Any:
        """Choose proposals to learn from."""
        shown = [
            boxes_P4[in_image(boxes_P4, target[INSIDE])] if INSIDE in target else boxes_P4
            for boxes_P4, target in zip(proposals, targets or (), strict=True)
        ]
        return super().select_training_samples(shown, targets)


def in_image(boxes_P4: Tensor, inside_HW: Tensor) -> Tensor:
    """Tell which boxes have their middle on the image, and not in its padding or beyond, (P,)."""
    height, width = inside_HW.shape
    column_P, row_P = ((boxes_P4[:, first] + boxes_P4[:, first + 2]).div(2).floor().long() for first in (0, 1))
    within_P = (row_P >= 0) & (row_P < height) & (column_P >= 0) & (column_P < width)
    return within_P & inside_HW[row_P.clamp(0, height - 1), column_P.clamp(0, width - 1)]


def use_frames(network: MaskRCNN) -> None:
    """Let both stages of a network pass over padding, where targets say by ``INSIDE`` (H, W) what is none."""
    network.rpn.__class__ = FramedProposals  # as torchvision built them, with all that they hold
    network.roi_heads.__class__ = FramedHeads


class Selection(NamedTuple):
    """Which boxes a network hands out.

    Attributes:
        score_threshold: Boxes with lower scores are dropped.
        nms_threshold: Of two boxes with a larger intersection over union, only the better is kept.
        limit: At most so many per image.
        proposals: Boxes of the first stage that the second looks at, the surest, in evaluation; of every level of the
            pyramid twice as many are compared.
    """

    score_threshold: float
    nms_threshold: float
    limit: int
    proposals: int = 200


class ImageTransform(GeneralizedRCNNTransform):  # type: ignore[misc]  # torchvision has no annotations for mypy
    """Normalises images and pads them to whole cells; resizing is the datamodule's, and masks stay in their boxes."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(min_size=0, max_size=0, image_mean=list(mean), image_std=list(std))

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Change nothing."""
        return image, target

    def postprocess(
        self,
        result: list[dict[str, Tensor]],
        image_shapes: list[tuple[int, int]],
        original_image_sizes: list[tuple[int, int]],
    ) -> list[dict[str, Tensor]]:
        """Change nothing: boxes are in pixels of the image already."""
        del image_shapes, original_image_sizes
        return result


def small_network(
    backbone: Features, channels: int, trainable_layers: int, classes: int, selection: Selection
) -> MaskRCNN:
    """Build Mask R-CNN on a feature pyramid over any backbone, narrow enough for a processor.

    Args:
        backbone: With its own normalisation.
        channels: Of the pyramid and of the masks' head; the boxes' head has four times as many.
        trainable_layers: Levels of the backbone that learn, from the last.
        classes: Without the background.
        selection: Which boxes to hand out.
    """
    pyramid = BackboneFpn(backbone, channels, trainable_layers)
    names = [str(level) for level in range(len(pyramid.strides) - 1)]  # proposals are pooled from the backbone's own
    network = MaskRCNN(
        pyramid,
        rpn_anchor_generator=AnchorGenerator(
            tuple(tuple(int(side * stride) for side in ANCHOR_SIDES) for stride in pyramid.strides),
            (ASPECTS,) * len(pyramid.strides),
        ),
        box_roi_pool=MultiScaleRoIAlign(names, BOX_CELLS, sampling_ratio=2),
        box_head=TwoMLPHead(channels * BOX_CELLS**2, 4 * channels),
        box_predictor=FastRCNNPredictor(4 * channels, classes + 1),
        mask_roi_pool=MultiScaleRoIAlign(names, MASK_CELLS, sampling_ratio=2),
        mask_head=MaskRCNNHeads(channels, (channels,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(channels, channels, classes + 1),
        box_batch_size_per_image=SAMPLED_PROPOSALS,
        box_score_thresh=selection.score_threshold,
        box_nms_thresh=selection.nms_threshold,
        box_detections_per_img=selection.limit,
        rpn_pre_nms_top_n_test=2 * selection.proposals,
        rpn_post_nms_top_n_test=selection.proposals,
    )
    network.transform = ImageTransform((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    use_frames(network)
    return network


def resnet50_network(weights: str, trainable_layers: int, classes: int, selection: Selection) -> tuple[MaskRCNN, str]:
    """Build ``maskrcnn_resnet50_fpn_v2`` with new last layers.

    Args:
        weights: ``hub`` (torchvision's, of COCO, downloaded), ``none``, or the path of a file with its state.
        trainable_layers: Stages of the ResNet that learn, from the last, 0 to 5; without weights all do.
        classes: Without the background.
        selection: Which boxes to hand out.

    Returns:
        The network, and the SHA-256 of the file; empty where there is none.

    Raises:
        ValueError: ``trainable_layers`` is out of range.
        WeightsError: The weights cannot be had, or are not this network's.
    """
    if not 0 <= trainable_layers <= 5:
        raise ValueError(f"Expected model.trainable_layers to be from 0 to 5 for {RESNET50}, found {trainable_layers}.")
    network = maskrcnn_resnet50_fpn_v2(
        weights=None,
        weights_backbone=None,
        num_classes=COCO_CLASSES,
        box_score_thresh=selection.score_threshold,
        box_nms_thresh=selection.nms_threshold,
        box_detections_per_img=selection.limit,
        rpn_pre_nms_top_n_test=2 * selection.proposals,
        rpn_post_nms_top_n_test=selection.proposals,
    )
    sha256 = "" if weights == UNTRAINED else load_weights(network, _file_of(weights))
    if weights != UNTRAINED:
        _freeze(network, trainable_layers)
    heads = network.roi_heads
    heads.box_predictor = FastRCNNPredictor(heads.box_predictor.cls_score.in_features, classes + 1)
    hidden = heads.mask_predictor.conv5_mask
    heads.mask_predictor = MaskRCNNPredictor(hidden.in_channels, hidden.out_channels, classes + 1)
    network.transform = ImageTransform(network.transform.image_mean, network.transform.image_std)
    use_frames(network)
    return network, sha256


def _freeze(network: MaskRCNN, trainable_layers: int) -> None:
    """Keep the first stages of the ResNet as they are: those that torchvision's own option would keep."""
    stages = ["layer4", "layer3", "layer2", "layer1", "conv1", "bn1"]
    learning = stages if trainable_layers == 5 else stages[:trainable_layers]
    for name, parameter in network.backbone.body.named_parameters():
        parameter.requires_grad_(any(name.startswith(stage) for stage in learning))


def _file_of(weights: str) -> Path:
    """Return the file that ``weights`` names; torchvision's own is downloaded to its cache if need be."""
    if weights != HUB:
        path = Path(weights).expanduser()
        if not path.is_file():
            raise WeightsError(f"Expected a file of weights at {path}, but found none; {_WAYS_OUT}.")
        return path
    url = MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    try:
        if not path.is_file():
            with urlopen(Request(url, method="HEAD"), timeout=HUB_TIMEOUT_S):  # noqa: S310 - torchvision's own https
                pass  # torch's client would wait for minutes on a dead line
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), hash_prefix=path.stem.rsplit("-", 1)[1])
    except (URLError, OSError, RuntimeError) as error:
        raise WeightsError(f"Expected to download the weights of {RESNET50}, but {error}; {_WAYS_OUT}.") from error
    return path


_WAYS_OUT = (
    "give a file with model.weights=PATH, train from nothing with model.weights=none, or choose a backbone that ships "
    "with Loupe with model.network=fpn"
)
