"""Mask R-CNN: finds each defect of the kinds that it was shown, with its outline (He et al. 2017, arXiv 1703.06870).

Letters: B batch, H and W pixels, D detections of an image, M side of a mask within its box.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from anomalib.data import InferenceBatch
from torch.optim import SGD
from torch.optim.lr_scheduler import StepLR

from datamodules.outlines.classes import PART, highest_label, names_of_labels

from .base import InspectionModel
from .components.detectors import INSIDE, RESNET50, Selection, resnet50_network, small_network
from .components.laying import lay
from .components.padding import SeesPadding
from .errors import DivergedError
from .export_plan import MODEL, ExportPlan, Graph
from .features.fpn import BackboneFpn
from .features.joined_backbone import build_features, with_layers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor
    from torchvision.models.detection import MaskRCNN

    from datamodules.samples.batch import InspectionBatch
    from datamodules.samples.detections import Detections
    from datamodules.samples.supervision import Supervision

FPN = "fpn"


class MaskRcnnModel(SeesPadding):
    """The network, and what an image's detections say about it.

    Args:
        network: torchvision's, with masks that stay in their boxes.
        mask_threshold: A pixel belongs to an instance from this probability on.
        origin: Where pre-trained weights came from; travels in the checkpoint.
    """

    def __init__(self, network: MaskRCNN, mask_threshold: float, origin: dict[str, str]) -> None:
        super().__init__()
        self.network = network
        self.mask_threshold = mask_threshold
        self.origin = origin

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images: raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W), both in [0, 1]; see ``detect``."""
        return self.detect(image_B3HW)[0]

    def detect(self, image_B3HW: Tensor) -> tuple[InferenceBatch, list[Detections]]:
        """Find instances, and what follows for each image.

        Returns:
            ``pred_score``, the score of the surest defect, 0 where there is none; ``anomaly_map``, at every pixel the
            highest product of a defect's score and its probability there; and the detections of every image. The part
            itself is an instance, but no defect.
        """
        height, width = image_B3HW.shape[-2:]
        image_B3HW, inside_BHW = self.open(image_B3HW)
        insides = [None] * len(image_B3HW) if inside_BHW is None else inside_BHW.cpu().numpy()
        found = [
            lay(as_arrays(entry), (height, width), self.mask_threshold, PART, inside_HW)
            for entry, inside_HW in zip(self.network(list(image_B3HW)), insides, strict=True)
        ]
        prediction = InferenceBatch(
            pred_score=image_B3HW.new_tensor([best_score(detections) for _, detections in found]),
            anomaly_map=torch.stack([torch.from_numpy(map_HW).to(image_B3HW.device) for map_HW, _ in found]),
        )
        return prediction, [detections for _, detections in found]

    def losses(self, image_B3HW: Tensor, targets: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Compare what is found on images with their targets; in training mode."""
        image_B3HW, inside_BHW = self.open(image_B3HW)
        insides = [{}] * len(image_B3HW) if inside_BHW is None else [{INSIDE: one} for one in inside_BHW]
        wanted = [{**target, **inside} for target, inside in zip(targets, insides, strict=True)]
        losses: dict[str, Tensor] = self.network(list(image_B3HW), wanted)
        return losses

    def export_plan(self) -> ExportPlan:
        """Plan one graph for torchvision's network; a runner lays its masks onto the image."""
        threshold = float(self.network.roi_heads.score_thresh)
        rules = {"score_threshold": threshold, "mask_threshold": self.mask_threshold, "part": PART}
        return ExportPlan({"kind": "instances"} | rules, {MODEL: Graph(self.network, instances=True)})

    def get_extra_state(self) -> dict[str, str]:
        """Send ``origin`` along with the weights."""
        return self.origin

    def set_extra_state(self, state: dict[str, str]) -> None:
        """Take ``origin`` from where the weights came from."""
        self.origin = state


def as_arrays(found: Mapping[str, Tensor]) -> dict[str, npt.NDArray[np.generic]]:
    """Take what torchvision found, with masks (D, 1, M, M) in their boxes, to where images are put together."""
    arrays = {name: value.float() if value.is_floating_point() else value for name, value in found.items()}
    arrays["masks"] = arrays["masks"].squeeze(1)
    return {name: value.cpu().numpy() for name, value in arrays.items()}


def best_score(detections: Detections) -> float:
    """Return the score of the surest defect; 0 where there is none."""
    return max((one.score for one in detections if one.label != PART), default=0.0)


class MaskRcnn(InspectionModel):
    """Mask R-CNN, on any backbone or as torchvision has it; good images are its negatives.

    Args:
        backbone: Arguments of ``models.features.joined_backbone.build_features``; unused by torchvision's own network.
        network: ``fpn``, small, on the backbone; or ``maskrcnn_resnet50_fpn_v2``.
        weights: Of ``maskrcnn_resnet50_fpn_v2``: ``hub``, ``none``, or the path of a file.
        layers: Levels of the backbone under the pyramid, instead of its own choice: small defects need fine ones.
        trainable_layers: How many levels of the backbone learn, counted from the last.
        backbone_rate: Of the backbone of ``fpn``, as a share of ``lr``: large steps undo what it knows; 1 for an
            untrained one.
        channels: Width of ``fpn``.
        classes: Names of the classes of defects, in the order of their labels (``datamodules.outlines.classes``); none:
            all defects are of one class.
        num_classes: Labels that the network knows at least; 2: defects (1), and the part itself (2).
        score_threshold: Detections with lower scores are dropped. Calibration chooses the threshold between good and
            defective, and average precision ranks the unsure ones too: keep it low.
        nms_threshold: Of two boxes with a larger intersection over union, the better is kept.
        mask_threshold: A pixel belongs to an instance from this probability on.
        limit: Detections per image, at most.
        proposals: Boxes of the first stage that the second looks at, in evaluation: the surest of each image or tile.
        lr: Of SGD.
        momentum: Of SGD.
        weight_decay: Of SGD.
        lr_step: Epochs after which the rate falls.
        lr_gamma: What it is multiplied by then.
        patience: Epochs without a better calibration after which training stops; None: never.

    Raises:
        ValueError: An argument is out of range.
        WeightsError: Weights cannot be had.
    """

    supervision: ClassVar[Supervision] = "instances"
    nothing: ClassVar[float | None] = 0.0
    trainer_arguments: ClassVar[dict[str, Any]] = {"gradient_clip_val": 10.0}  # rare steep steps must undo nothing
    monitor: ClassVar[str] = "calibration/mask_ap"
    not_exportable: ClassVar[str] = (
        "how many instances it finds depends on the picture; a bundle puts its parts together"
    )

    def __init__(
        self,
        backbone: Mapping[str, Any],
        *,
        network: str = FPN,
        weights: str = "none",
        layers: Sequence[int] = (1, 2, 3),
        trainable_layers: int = 3,
        backbone_rate: float = 0.1,
        channels: int = 64,
        classes: Sequence[str] | None = None,
        num_classes: int = 2,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.3,
        mask_threshold: float = 0.5,
        limit: int = 100,
        proposals: int = 200,
        lr: float = 0.005,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        lr_step: int = 15,
        lr_gamma: float = 0.1,
        patience: int | None = 10,
    ) -> None:
        super().__init__()
        shares = {"score_threshold": score_threshold, "nms_threshold": nms_threshold, "mask_threshold": mask_threshold}
        for name, value in shares.items():
            if not 0 <= value < 1:
                raise ValueError(f"Expected model.{name} to be at least 0 and below 1, but found {value}.")
        if min(channels, num_classes, limit, proposals, lr_step) < 1:
            raise ValueError(
                "Expected model.channels, num_classes, limit, proposals and lr_step to be at least 1, but found "
                f"{channels}, {num_classes}, {limit}, {proposals} and {lr_step}."
            )
        if not 0 < backbone_rate <= 1:
            raise ValueError(
                f"Expected model.backbone_rate to be above 0 and at most 1, but found {backbone_rate}; for a backbone "
                "that does not learn, set model.trainable_layers=0."
            )
        self.backbone_rate = backbone_rate
        self.classes = names_of_labels(classes or ())
        self.num_classes = num_classes = max(num_classes, highest_label(classes or ()))
        self.patience = patience
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.lr_step, self.lr_gamma = lr_step, lr_gamma
        selection = Selection(score_threshold, nms_threshold, limit, proposals)
        if network == RESNET50:
            built, sha256 = resnet50_network(weights, trainable_layers, num_classes, selection)
            origin = {"name": network, "weights": weights} | ({"sha256": sha256} if sha256 else {})
        elif network == FPN:
            features = build_features(with_layers(backbone, layers))
            built, origin = small_network(features, channels, trainable_layers, num_classes, selection), features.origin
        else:
            raise ValueError(f"Expected model.network to be {FPN} or {RESNET50}, but found {network!r}.")
        self.model: MaskRcnnModel = MaskRcnnModel(built, mask_threshold, origin)

    def origin(self) -> dict[str, str]:
        """Say where pre-trained weights came from."""
        return self.model.origin

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe images (B, D) by the mean of their coarsest features."""
        *_, coarsest = self.model.network.backbone(image_B3HW).values()
        described: Tensor = coarsest.mean(dim=(2, 3))
        return described

    def configure_optimizers(self) -> dict[str, Any]:
        """Descend by SGD, at a rate that falls in steps."""
        pyramid = self.model.network.backbone
        gentle = set(pyramid.backbone.parameters()) if isinstance(pyramid, BackboneFpn) else set()
        learning = [weight for weight in self.parameters() if weight.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [weight for weight in learning if weight not in gentle]},
            {"params": [weight for weight in learning if weight in gentle], "lr": self.backbone_rate * self.lr},
        ]
        optimizer = SGD(
            [group for group in groups if group["params"]],
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )
        return {"optimizer": optimizer, "lr_scheduler": StepLR(optimizer, self.lr_step, self.lr_gamma)}

    def training_step(self, batch: InspectionBatch, batch_idx: int) -> Tensor | None:
        """Learn from a batch; images whose instances nobody outlined are passed over."""
        del batch_idx
        losses = self.losses(batch)
        return self.summed(losses, len(batch)) if losses else None

    def losses(self, batch: InspectionBatch) -> dict[str, Tensor]:
        """Compare what is found on the images of a batch with their targets; empty where none has one.

        Raises:
            DivergedError: A loss is not a number any more.
        """
        targets = batch.target or []
        known = [index for index, target in enumerate(targets) if target is not None]
        if not known:
            return {}
        wanted = [checked(targets[index], self.num_classes) for index in known]
        losses = self.model.losses(self.images_of(batch)[known], wanted)
        if torch.stack(list(losses.values())).isnan().any():
            raise DivergedError(
                "Expected losses that are numbers, but found NaN: training has diverged; lower model.lr."
            )
        return losses


def checked(target: Mapping[str, Tensor], num_classes: int) -> Mapping[str, Tensor]:
    """Return a target if every label in it is one that the network has.

    Raises:
        ValueError: One is not.
    """
    found = sorted(set(target["labels"].tolist()))
    if not set(found) <= set(range(1, num_classes + 1)):
        raise ValueError(
            f"Expected labels of instances from 1 to {num_classes}, but found {found}; set model.num_classes to the "
            "highest."
        )
    return target
