"""FastFlow: a normalising flow learns how likely good features are (Yu et al. 2021, arXiv 2111.07677).

anomalib's own flow blocks, loss and map, on Loupe's backbones.

Letters: B batch, H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from anomalib.data import InferenceBatch
from anomalib.models.image.fastflow.anomaly_map import AnomalyMapGenerator
from anomalib.models.image.fastflow.loss import FastflowLoss
from anomalib.models.image.fastflow.torch_model import create_fast_flow_block
from torch import nn, optim

from .base import InspectionModel
from .features.joined_backbone import build_features

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from datamodules.samples.batch import InspectionBatch

    from .components.tiled import Cutting
    from .features.joined_backbone import Features


class FastflowModel(nn.Module):
    """The network: every feature map is normalised, then sent through a flow of its own.

    Args:
        backbone: From images in [0, 1] to feature maps.
        image_size: Height and width of images: the normalisation learns a scale for every place.
        flow_steps: Blocks of each flow.
        conv3x3_only: Use kernels of 3 alone, where they would alternate with 1.
        hidden_ratio: Channels inside a block, as a share of its input's.
    """

    def __init__(
        self,
        backbone: Features,
        image_size: tuple[int, int],
        flow_steps: int,
        *,
        conv3x3_only: bool,
        hidden_ratio: float,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.image_size = image_size
        shapes = backbone.shapes(*image_size)
        self.norms = nn.ModuleList(nn.LayerNorm(shape) for shape in shapes)
        self.flows = nn.ModuleList(
            create_fast_flow_block(list(shape), conv3x3_only, hidden_ratio, flow_steps) for shape in shapes
        )
        self.map = AnomalyMapGenerator(image_size)

    def flow(self, image_B3HW: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return latents and the logarithms of their Jacobian determinants, one of each per layer.

        Raises:
            ValueError: Images have another size than the model was built for.
        """
        if tuple(image_B3HW.shape[-2:]) != self.image_size:
            raise ValueError(
                f"Expected pictures of {self.image_size[0]} x {self.image_size[1]}, which FastFlow was built for, but "
                f"found {image_B3HW.shape[-2]} x {image_B3HW.shape[-1]}; set data.image_size back, or train again."
            )
        features = self.backbone(image_B3HW)
        pairs = [flow(norm(feature)) for flow, norm, feature in zip(self.flows, self.norms, features, strict=True)]
        return [latent for latent, _ in pairs], [jacobian for _, jacobian in pairs]

    def forward(self, image_B3HW: Tensor) -> InferenceBatch | tuple[list[Tensor], list[Tensor]]:
        """Score images: raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W), minus a likelihood, in [-1, 0].

        In training, return what ``flow`` does.
        """
        latents, jacobians = self.flow(image_B3HW)
        if self.training:
            return latents, jacobians
        map_BHW = self.map([latent.float() for latent in latents]).squeeze(1)
        return InferenceBatch(pred_score=map_BHW.amax(dim=(1, 2)), anomaly_map=map_BHW)


class Fastflow(InspectionModel):
    """FastFlow, trained by maximum likelihood of good images.

    Args:
        backbone: Arguments of ``models.features.joined_backbone.build_features``.
        image_size: Height and width of images.
        flow_steps: Blocks of each flow. At least 1.
        conv3x3_only: Use kernels of 3 alone, where they would alternate with 1.
        hidden_ratio: Channels inside a block, as a share of its input's.
        learning_rate: Of Adam.
        weight_decay: Of Adam.

    Raises:
        ValueError: An argument is out of range.
    """

    trainer_arguments: ClassVar[dict[str, Any]] = {}
    not_padded: ClassVar[str] = (
        "its flow turns an image into one likelihood, of which padding cannot be taken out; crop keeps proportions, "
        "too, and model=patchcore or model=padim take letterbox"
    )

    def __init__(
        self,
        backbone: Mapping[str, Any],
        image_size: tuple[int, int],
        flow_steps: int = 8,
        conv3x3_only: bool = False,
        hidden_ratio: float = 1.0,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-5,
    ) -> None:
        super().__init__()
        if flow_steps < 1 or hidden_ratio <= 0:
            raise ValueError(
                "Expected model.flow_steps to be at least 1 and model.hidden_ratio to be above 0, but found "
                f"{flow_steps} and {hidden_ratio}."
            )
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.loss = FastflowLoss()
        self.model: FastflowModel = FastflowModel(
            build_features(backbone),
            (image_size[0], image_size[1]),
            flow_steps,
            conv3x3_only=conv3x3_only,
            hidden_ratio=hidden_ratio,
        )

    def origin(self) -> dict[str, str]:
        """Say where the backbone's weights came from."""
        return self.model.backbone.origin

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe images (B, D) by the mean of the deepest features."""
        deepest: Tensor = self.model.backbone(image_B3HW)[-1]
        return deepest.mean(dim=(2, 3))

    def use_tiling(self, tiling: Cutting) -> None:
        """Judge tiles, which the flow must have been built for.

        Raises:
            ValueError: It was built for another size.
        """
        if self.model.image_size != (tiling.size, tiling.size):
            raise ValueError(
                f"Expected model.image_size to be that of tiles, but found {list(self.model.image_size)}; set "
                f"model.image_size=[{tiling.size},{tiling.size}]."
            )
        super().use_tiling(tiling)

    def configure_optimizers(self) -> optim.Optimizer:
        """Adam over the flows and their normalisation."""
        learnt = [*self.model.norms.parameters(), *self.model.flows.parameters()]
        return optim.Adam(
            [parameter for parameter in learnt if parameter.requires_grad],  # permutations stay
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
        )

    def training_step(self, batch: InspectionBatch, batch_idx: int) -> Tensor:
        """Return the negative log-likelihood of good features."""
        del batch_idx
        latents, jacobians = self.model.flow(batch.image)
        loss: Tensor = self.loss(latents, jacobians)
        self.log_loss(loss, batch)
        return loss
