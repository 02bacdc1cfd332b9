"""DFM: good images span a subspace of a network's features (Ahuja et al. 2019, arXiv 1909.11786).

Principal components of pooled features, as anomalib has them, but with as many as the level asks for (anomalib keeps
one fewer), and with a map in both modes.

Letters: B batch, N images, C channels, h and w of the pooled map, D = C h w, K components, H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import torch
from anomalib.data import InferenceBatch
from anomalib.models.components import DynamicBufferMixin
from torch.nn import functional as F

from .components.padding import SeesPadding, cells_inside
from .features.joined_backbone import build_features, side_multiple
from .features.precision import full_precision
from .one_pass import OnePassModel, check_fitted, check_several

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from torch import Tensor

    from .features.joined_backbone import Features


TINY = 1e-6  # share of a square that shows nothing


class Subspace(NamedTuple):
    """Principal components, in float64: mean (D,), components (D, K), and the spread along each (K,)."""

    mean_D: Tensor
    component_DK: Tensor
    spread_K: Tensor


def principal_components(x_ND: Tensor, level: float) -> Subspace:
    """Find the fewest principal components that hold at least a share ``level`` of the variance."""
    x_ND = x_ND.double()
    mean_D = x_ND.mean(dim=0)
    _, singular_N, axes_ND = torch.linalg.svd(x_ND - mean_D, full_matrices=False)
    share_N = singular_N.square().cumsum(0) / singular_N.square().sum()
    count = min(int((share_N < level).sum()) + 1, len(singular_N))
    return Subspace(mean_D, axes_ND[:count].T, singular_N[:count] / len(x_ND) ** 0.5)


class DFMModel(DynamicBufferMixin, SeesPadding):
    """The network: pooled features of the backbone's last layer, and their subspace.

    Args:
        backbone: From images in [0, 1] to feature maps.
        pooling: Side of the squares that are averaged.
        score: ``fre`` or ``nll``.
    """

    mean_D: Tensor
    component_DK: Tensor
    spread_K: Tensor
    known_D: Tensor

    def __init__(self, backbone: Features, pooling: int, score: str) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        self.score = score
        for name, value in Subspace(torch.empty(0), torch.empty(0, 0), torch.empty(0))._asdict().items():
            self.register_buffer(name, value)
        self.register_buffer("known_D", torch.empty(0))  # 1 where training images showed a place, 0 elsewhere

    def features(self, image_B3HW: Tensor) -> Tensor:
        """Pool the deepest map: (B, C, h, w)."""
        deepest: Tensor = self.backbone(image_B3HW)[-1]
        return F.avg_pool2d(deepest, min(self.pooling, *deepest.shape[-2:]))

    def shown(self, image_B3HW: Tensor) -> tuple[Tensor, Tensor | None]:
        """Pool the deepest map over images alone, and tell which squares (B, 1, h, w) show some; None: all do."""
        image_B3HW, inside_BHW = self.open(image_B3HW)
        if inside_BHW is None:
            return self.features(image_B3HW), None
        deepest: Tensor = self.backbone(image_B3HW)[-1]
        weight_B1HW = cells_inside(inside_BHW, *deepest.shape[-2:]).unsqueeze(1).to(deepest.dtype)
        side = min(self.pooling, *deepest.shape[-2:])
        share_B1hw = F.avg_pool2d(weight_B1HW, side)
        return F.avg_pool2d(deepest * weight_B1HW, side) / share_B1hw.clamp_min(TINY), share_B1hw > 0

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images: raw ``pred_score`` (B,), and what the subspace misses as ``anomaly_map`` (B, H, W).

        Raises:
            RuntimeError: The model has not been fitted.
            ValueError: Images have another size than those it was fitted to.
        """
        feature_BChw, inside_B1hw = self.shown(image_B3HW)
        shape = feature_BChw.shape[1:]
        check_fitted(len(self.mean_D), shape.numel(), "DFM", "features")
        with full_precision(feature_BChw):
            centred_BD = feature_BChw.flatten(1) - self.mean_D
            if inside_B1hw is not None:  # what is not seen is taken to be as usual
                centred_BD = centred_BD * inside_B1hw.expand_as(feature_BChw).flatten(1) * self.known_D
            code_BK = centred_BD @ self.component_DK
            missed_BD = (centred_BD - code_BK @ self.component_DK.T).square()
            likelihood_B = (code_BK / self.spread_K).square().sum(dim=1) + 2 * self.spread_K.log().sum()
            missed_B1hw = missed_BD.reshape(-1, *shape).sum(dim=1, keepdim=True)
            missed_B = missed_BD.sum(dim=1)
            if inside_B1hw is not None:  # in images of other proportions, as if they were as large
                missed_B1hw = missed_B1hw * inside_B1hw
                missed_B = missed_B1hw.sum(dim=(1, 2, 3)) / inside_B1hw.float().mean(dim=(1, 2, 3)).clamp_min(TINY)
            map_B1HW = F.interpolate(missed_B1hw, size=image_B3HW.shape[-2:], mode="bilinear")
        score_B = missed_B if self.score == "fre" else likelihood_B
        return InferenceBatch(pred_score=score_B, anomaly_map=map_B1HW.squeeze(1))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take a checkpoint, also of an earlier version, which knew no padding."""
        state_dict.setdefault(f"{prefix}known_D", torch.ones(len(state_dict.get(f"{prefix}mean_D", ()))))
        super()._load_from_state_dict(state_dict, prefix, *args)


class DFM(OnePassModel):
    """Deep feature modelling: one pass over good images, then principal components.

    Args:
        backbone: Arguments of ``models.features.joined_backbone.build_features``; the last of its layers is used.
        pooling: Side of the squares of features that are averaged, at most the whole map. At least 1.
        level: Share of the variance that the components hold, in (0, 1].
        score: ``fre``, the squared feature reconstruction error, or ``nll``, twice the negative log-likelihood within
            the subspace, up to a constant. The map is the reconstruction error in both.

    Raises:
        ValueError: An argument is out of range.
    """

    grows: ClassVar[bool] = True
    sees_ground: ClassVar[bool] = True
    feature_ND: Tensor

    def __init__(
        self,
        backbone: Mapping[str, Any],
        pooling: int = 4,
        level: float = 0.97,
        score: Literal["fre", "nll"] = "fre",
    ) -> None:
        super().__init__()
        if pooling < 1 or not 0 < level <= 1:
            raise ValueError(
                "Expected model.pooling to be at least 1 and model.level to be above 0 and at most 1, but found "
                f"{pooling} and {level}."
            )
        self.level = level
        self.model: DFMModel = DFMModel(build_features(backbone), pooling, score)
        self.size_multiple = side_multiple(self.model.backbone)
        self.register_buffer(
            "feature_ND", torch.empty(0, 0)
        )  # of all that was learnt: little, and all it takes to go on
        self._features: list[Tensor] = []

    def origin(self) -> dict[str, str]:
        """Say where the backbone's weights came from."""
        return self.model.backbone.origin

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe images (B, D) by the mean of the deepest features."""
        return self.model.features(image_B3HW).mean(dim=(2, 3))

    def collect(self, image_B3HW: Tensor) -> None:
        """Keep the pooled features of a batch."""
        feature_BChw, inside_B1hw = self.model.shown(image_B3HW)
        if inside_B1hw is not None:
            feature_BChw = feature_BChw.masked_fill(~inside_B1hw, float("nan"))  # not seen
        self._features.append(feature_BChw.flatten(1).cpu())

    def fit(self) -> None:
        """Find the subspace.

        Raises:
            DataError: A single image spans none.
        """
        if not self._features:
            return
        self.learnt = self.take_coming()
        self._span(self._take())

    def extend(self) -> None:
        """Find the subspace of the features of before and of those that were collected."""
        self.learnt += self.take_coming()
        self._span(torch.cat([self.feature_ND, self._take().to(self.device)]))

    def forget(self, paths: Collection[str], read: Callable[[str], Tensor]) -> None:
        """Find the subspace of the features of all other images.

        Raises:
            DataError: Fewer than two are left.
        """
        del read
        stays_N = torch.tensor([path not in paths for path in self.learnt])
        self.learnt = [path for path in self.learnt if path not in paths]
        self._span(self.feature_ND[stays_N.to(self.device)])

    def _take(self) -> Tensor:
        """Give all features that were collected, and forget them."""
        x_ND = torch.cat(self._features)
        self._features.clear()
        return x_ND

    def _span(self, x_ND: Tensor) -> None:
        check_several(len(x_ND))
        self.feature_ND = x_ND.to(self.device)
        seen_ND = ~x_ND.isnan()
        self.model.known_D = seen_ND.any(dim=0).float()
        if not seen_ND.all():  # what an image does not show is taken to be as usual
            x_ND = torch.where(seen_ND, x_ND, x_ND.nanmean(dim=0).nan_to_num(0.0))
        for name, value in principal_components(x_ND.cpu(), self.level)._asdict().items():
            setattr(self.model, name, value.float().contiguous().to(self.device))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take a checkpoint, also of an earlier version, which kept no features."""
        stored_ND = state_dict.setdefault(f"{prefix}feature_ND", torch.empty(0, 0))
        self.feature_ND = torch.empty_like(stored_ND, device=self.feature_ND.device)
        super()._load_from_state_dict(state_dict, prefix, *args)
