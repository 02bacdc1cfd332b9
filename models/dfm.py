"""DFM: good images span a subspace of a network's features (Ahuja et al. 2019, arXiv 1909.11786).

Principal components of pooled features, as anomalib has them, but with as many as the level asks for (anomalib keeps
one fewer), and with a map in both modes. In memory that does not grow with the number of images: see
``components.subspace``.

Letters: B batch, N images, C channels, h and w of the pooled map, D = C h w, K components, H and W pixels.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from anomalib.data import InferenceBatch
from anomalib.models.components import DynamicBufferMixin
from torch.nn import functional as F

from datamodules.progress import tell

from .components.memory import written_size
from .components.padding import SeesPadding, cells_inside
from .components.subspace import Gathered, Subspace
from .features.joined_backbone import build_features, side_multiple
from .features.precision import full_precision
from .one_pass import OnePassModel, check_fitted, check_several

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from torch import Tensor

    from .features.joined_backbone import Features


TINY = 1e-6  # share of a square that shows nothing
WORTH_SAYING = 2**30  # bytes, above which people want to know before


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
        self.register_buffer("feature_ND", torch.empty(0, 0))  # of all that was learnt, while images are few
        self._products: dict[str, Any] | None = None  # sums in their place, once images are more than dimensions
        self._gathered: Gathered | None = None

    def origin(self) -> dict[str, str]:
        """Say where the backbone's weights came from."""
        return self.model.backbone.origin

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe images (B, D) by the mean of the deepest features."""
        return self.model.features(image_B3HW).mean(dim=(2, 3))

    def collect(self, image_B3HW: Tensor) -> None:
        """Keep the pooled features of a batch, or sums of their products."""
        feature_BChw = self._features(image_B3HW)
        if self._gathered is None:
            self._gathered = Gathered()
            self._say_what_it_takes(feature_BChw[0].numel(), len(feature_BChw) * self.batches)
        self._gathered.add(feature_BChw)

    def collecting_state(self) -> dict[str, Any] | None:
        """Return the features so far, or sums of their products."""
        return None if self._gathered is None else self._gathered.state()

    def load_collecting_state(self, state: dict[str, Any]) -> None:
        """Take what ``collecting_state`` returned."""
        self._gathered = Gathered.of(state)

    def fit(self) -> None:
        """Find the subspace.

        Raises:
            DataError: A single image spans none.
        """
        self._keep_unfinished()
        if self._gathered is None:
            return
        self.learnt = self.take_coming()
        self._span(self._take())

    def resume(self) -> None:
        """Go on from the features of all that was learnt, or from sums of their products."""
        features = self.feature_ND if self.feature_ND.numel() else None
        self._gathered = Gathered.of({"features": features, "products": self._products})

    def extend(self) -> None:
        """Find the subspace of all images, of before and those that were collected."""
        self.learnt += self.take_coming()
        self._span(self._take())

    def forget(self, paths: Collection[str], read: Callable[[str], Tensor]) -> None:
        """Find the subspace of the features of all other images.

        Raises:
            DataError: Fewer than two are left, or an image has to be read, and cannot: where sums are held.
        """
        if self._products is None:
            stays_N = torch.tensor([path not in paths for path in self.learnt], device=self.feature_ND.device)
            gathered = Gathered.of({"features": self.feature_ND[stays_N], "products": None})
        else:
            gathered = Gathered.of({"features": None, "products": self._products})
            for path in dict.fromkeys(path for path in self.learnt if path in paths):
                gathered.remove(self._features(read(path).to(self.device)))
        self.learnt = [path for path in self.learnt if path not in paths]
        self._span(gathered)

    @contextmanager
    def without(self, path: str, read: Callable[[str], Tensor]) -> Iterator[None]:
        """Judge as if an image had never been learnt, for a moment: see ``OnePassModel.without``."""
        products = self._products
        try:
            with super().without(path, read):
                yield
        finally:
            self._products = products

    def _features(self, image_B3HW: Tensor) -> Tensor:
        """Pool the deepest map, (B, C, h, w), on the processor; NaN where an image shows nothing."""
        feature_BChw, inside_B1hw = self.model.shown(image_B3HW)
        if inside_B1hw is not None:
            feature_BChw = feature_BChw.masked_fill(~inside_B1hw, float("nan"))
        return feature_BChw.float().cpu()

    def _say_what_it_takes(self, dimensions: int, images: int) -> None:
        """Say before it begins what will be held, where that is much: features, or sums once these are less."""
        needed = 4 * dimensions * min(images, dimensions) + (8 * dimensions**2 if images > dimensions else 0)
        if needed > WORTH_SAYING:
            tell(
                f"DFM holds up to {written_size(needed)}: {dimensions:,} features of each image, and once images are "
                "as many, sums of their products; a larger model.pooling leaves fewer features."
            )

    def _take(self) -> Gathered:
        """Give all that was gathered, and forget it."""
        gathered, self._gathered = self._gathered or Gathered(), None
        return gathered

    def _span(self, gathered: Gathered) -> None:
        """Find the subspace of what was gathered, and hold that.

        Raises:
            DataError: A single image spans none.
        """
        check_several(gathered.count)
        state = gathered.state()
        features, self._products = state["features"], state["products"]
        self.feature_ND = torch.empty(0, 0) if features is None else features.to(self.device)
        self.model.known_D = gathered.known().float().to(self.device)
        for name, value in gathered.subspace(self.level)._asdict().items():
            setattr(self.model, name, value.float().contiguous().to(self.device))

    def get_extra_state(self) -> dict[str, Any]:
        """Send sums along, on the processor: other devices have no double precision."""
        return super().get_extra_state() | ({} if self._products is None else {"products": self._products})

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take the sums of a checkpoint; earlier versions had features alone."""
        super().set_extra_state(state)
        self._products = state.get("products")

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take a checkpoint, also of an earlier version, which kept no features."""
        stored_ND = state_dict.setdefault(f"{prefix}feature_ND", torch.empty(0, 0))
        self.feature_ND = torch.empty_like(stored_ND, device=self.feature_ND.device)
        super()._load_from_state_dict(state_dict, prefix, *args)
