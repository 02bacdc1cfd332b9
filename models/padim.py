"""PaDiM: every place of an image has its own Gaussian of what is normal there.

Defard et al., ICPR workshops 2021, arXiv 2011.08785.

Made for aligned parts: a place is a place in the image. The same maps as anomalib's, but in float64 where covariances
are summed and factored, and in memory that does not grow with the number of images.

Letters: B batch, C channels of all layers, D of them that are used, h and w places along the axes, P = h w places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from anomalib.data import InferenceBatch
from anomalib.models.components import DynamicBufferMixin
from torch.nn import functional as F

from .components.maps import SmoothMap
from .components.padding import SeesPadding, cells_inside, worst
from .features.joined_backbone import build_features, side_multiple
from .features.precision import full_precision
from .one_pass import OnePassModel, check_fitted, check_several

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from torch import Tensor

    from .features.joined_backbone import Features

FEWEST = 2  # images that say how a place varies
RIDGE = 0.01 + 1e-5  # added to every variance: the paper's 0.01, and what anomalib adds to it


class PadimModel(DynamicBufferMixin, SeesPadding):
    """The network: features, and a Gaussian per place.

    Args:
        backbone: From images in [0, 1] to feature maps.
    """

    index_D: Tensor
    mean_PD: Tensor
    whitening_PDD: Tensor
    count_P: Tensor

    def __init__(self, backbone: Features) -> None:
        super().__init__()
        self.backbone = backbone
        self.smooth_map = SmoothMap(mode="bilinear")
        self.register_buffer("index_D", torch.empty(0, dtype=torch.int64))  # of the channels that are used
        self.register_buffer("mean_PD", torch.empty(0, 0))
        self.register_buffer("whitening_PDD", torch.empty(0, 0, 0))  # W with W W^T the inverse covariance
        self.register_buffer("count_P", torch.empty(0))  # images that show a place; none where nobody noted it

    def features(self, image_B3HW: Tensor) -> Tensor:
        """Stack the maps of all layers at the size of the first: (B, C, h, w)."""
        first, *others = self.backbone(image_B3HW)
        return torch.cat([first, *(F.interpolate(other, size=first.shape[-2:]) for other in others)], dim=1)

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images by Mahalanobis distances: raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W).

        Raises:
            RuntimeError: The model has not been fitted.
            ValueError: Images have another size than those it was fitted to.
        """
        image_B3HW, inside_BHW = self.open(image_B3HW)
        feature_BCHW = self.features(image_B3HW)
        height, width = feature_BCHW.shape[-2:]
        check_fitted(len(self.mean_PD), height * width, "PaDiM", "places")
        counts_Bhw = None if inside_BHW is None else cells_inside(inside_BHW, height, width) & self.known(height, width)
        with full_precision(feature_BCHW):
            embedding_BDP = feature_BCHW[:, self.index_D].flatten(2)
            delta_PBD = embedding_BDP.permute(2, 0, 1) - self.mean_PD.unsqueeze(1)
            distance_PB = (delta_PBD @ self.whitening_PDD).norm(dim=2)
            map_BHW = self.smooth_map(distance_PB.T.reshape(-1, height, width), *image_B3HW.shape[-2:], counts_Bhw)
        return InferenceBatch(pred_score=worst(map_BHW, inside_BHW), anomaly_map=map_BHW)

    def known(self, height: int, width: int) -> Tensor:
        """Tell which places several training images showed, (h, w): elsewhere nobody knows what is normal."""
        return self.count_P.view(height, width) >= FEWEST

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take a checkpoint, also of an earlier version, which noted no numbers of images."""
        places = len(state_dict.get(f"{prefix}mean_PD", ()))
        state_dict.setdefault(f"{prefix}count_P", torch.full((places,), float(FEWEST)))
        super()._load_from_state_dict(state_dict, prefix, *args)


class Moments:
    """Sums over images that give means and covariances at every place, in float64; padding is not counted.

    Args:
        first_BDP: Features of the first images; deviations are taken from their mean, lest large sums cancel.
    """

    def __init__(self, first_BDP: Tensor) -> None:
        places, features = first_BDP.shape[2], first_BDP.shape[1]
        self.count_P1 = torch.zeros(places, 1, dtype=torch.float64)
        self.centre_PD: Tensor = first_BDP.double().mean(dim=0).T
        self.sum_PD = torch.zeros(places, features, dtype=torch.float64)
        self.products_PDD = torch.zeros(places, features, features, dtype=torch.float64)

    @classmethod
    def of(cls, count: int | Tensor, mean_PD: Tensor, covariance_PDD: Tensor) -> Moments:
        """Return the sums that gave means and unbiased covariances of so many images, or so many at each place (P,)."""
        moments = cls(mean_PD.T.unsqueeze(0))
        moments.count_P1 += torch.as_tensor(count, dtype=torch.float64).view(-1, 1)
        moments.products_PDD = covariance_PDD.double() * moments.freedom.unsqueeze(2)
        return moments

    @property
    def count(self) -> int:
        """Count the images at the place that most of them show."""
        return int(self.count_P1.max())

    @property
    def freedom(self) -> Tensor:
        """Count what is left of the images at each place once their mean is taken, (P, 1); at least 1."""
        return (self.count_P1 - 1).clamp_min(1)

    def add(self, embedding_BDP: Tensor, sign: int = 1, inside_BP: Tensor | None = None) -> None:
        """Add images, where they are not padded; with a ``sign`` of -1, take them out."""
        delta_PBD = embedding_BDP.double().permute(2, 0, 1) - self.centre_PD.unsqueeze(1)
        if inside_BP is not None:
            delta_PBD = delta_PBD * inside_BP.T.unsqueeze(2)
        shown_P = torch.full((delta_PBD.shape[0],), delta_PBD.shape[1]) if inside_BP is None else inside_BP.sum(dim=0)
        self.count_P1 += sign * shown_P.unsqueeze(1)
        self.sum_PD += sign * delta_PBD.sum(dim=1)
        self.products_PDD.baddbmm_(delta_PBD.mT, delta_PBD, alpha=sign)

    def mean(self) -> Tensor:
        """Return the means (P, D)."""
        return self.centre_PD + self.sum_PD / self.count_P1.clamp_min(1)

    def covariance(self) -> Tensor:
        """Return the unbiased covariances (P, D, D)."""
        shift_PD = self.sum_PD / self.count_P1.clamp_min(1)
        outer_PDD = self.count_P1.unsqueeze(2) * shift_PD.unsqueeze(2) * shift_PD.unsqueeze(1)
        return (self.products_PDD - outer_PDD) / self.freedom.unsqueeze(2)


def whitening(covariance_PDD: Tensor) -> Tensor:
    """Factor inverse covariances: W (P, D, D) such that ``W W^T = inverse(covariance + RIDGE I)``.

    A Mahalanobis distance is then the plain length of ``(x - mean) W``, and cannot be the root of a negative number.
    """
    identity_DD = torch.eye(covariance_PDD.shape[-1], dtype=covariance_PDD.dtype)
    lower_PDD = torch.linalg.cholesky(covariance_PDD + RIDGE * identity_DD)
    root_PDD: Tensor = torch.linalg.solve_triangular(lower_PDD.mT, identity_DD.expand_as(lower_PDD), upper=True)
    return root_PDD


def covariance_of(whitening_PDD: Tensor) -> Tensor:
    """Return the covariances (P, D, D), in float64, that ``whitening`` made factors of."""
    identity_DD = torch.eye(whitening_PDD.shape[-1], dtype=torch.float64)
    root_PDD: Tensor = torch.linalg.solve_triangular(
        whitening_PDD.double(), identity_DD.expand_as(whitening_PDD), upper=True
    )
    covariance_PDD: Tensor = root_PDD.mT @ root_PDD - RIDGE * identity_DD
    return covariance_PDD


class Padim(OnePassModel):
    """PaDiM: one pass over good images, then a Gaussian for every place.

    Args:
        backbone: Arguments of ``models.features.joined_backbone.build_features``.
        n_features: How many of the backbone's channels are used, drawn at random; all, where there are fewer. The cost
            of a place is its square.
        seed: Decides which.

    Raises:
        ValueError: An argument is out of range.
    """

    grows: ClassVar[bool] = True
    sees_ground: ClassVar[bool] = True

    def __init__(self, backbone: Mapping[str, Any], n_features: int = 100, seed: int = 0) -> None:
        super().__init__()
        if n_features < 1:
            raise ValueError(f"Expected model.n_features to be at least 1, but found {n_features}.")
        self.n_features = n_features
        self.seed = seed
        self.model: PadimModel = PadimModel(build_features(backbone))
        self.size_multiple = side_multiple(self.model.backbone)
        self._moments: Moments | None = None

    def origin(self) -> dict[str, str]:
        """Say where the backbone's weights came from."""
        return self.model.backbone.origin

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe images (B, D) by the mean of all features."""
        return self.model.features(image_B3HW).mean(dim=(2, 3))

    def collect(self, image_B3HW: Tensor) -> None:
        """Add a batch to the moments; the first one decides which channels are used."""
        image_B3HW, inside_BHW = self.model.open(image_B3HW)
        feature_BCHW = self.model.features(image_B3HW)
        if self._moments is None:
            order_C = torch.randperm(feature_BCHW.shape[1], generator=torch.Generator().manual_seed(self.seed))
            self.model.index_D = order_C[: self.n_features].to(feature_BCHW.device)
        embedding_BDP = feature_BCHW[:, self.model.index_D].flatten(2).cpu()
        if self._moments is None:
            self._moments = Moments(embedding_BDP)
        self._moments.add(embedding_BDP, inside_BP=_places(inside_BHW, feature_BCHW))

    def fit(self) -> None:
        """Turn the moments into Gaussians.

        Raises:
            DataError: A single image has no covariance.
        """
        if self._moments is None:
            return
        moments, self._moments = self._moments, None
        self.learnt += self.take_coming()
        self._take(moments)

    def resume(self) -> None:
        """Return to the moments that the Gaussians were made of; their bits are those of single precision."""
        mean_PD, covariance_PDD = self.model.mean_PD.cpu(), covariance_of(self.model.whitening_PDD.cpu())
        counts_P = self.model.count_P.cpu()
        count = counts_P if self.model.pads else len(self.learnt)
        self._moments = Moments.of(count, mean_PD, covariance_PDD)

    def extend(self) -> None:
        """Turn the moments of all images into Gaussians."""
        self.fit()

    def forget(self, paths: Collection[str], read: Callable[[str], Tensor]) -> None:
        """Take what images added out of the moments; they have to be read for that.

        Raises:
            DataError: Fewer than two images are left, or one cannot be read.
        """
        self.resume()
        moments, self._moments = self._moments, None
        if moments is not None:
            for path in dict.fromkeys(path for path in self.learnt if path in paths):
                moments.add(*self._embed(read(path)))
            self.learnt = [path for path in self.learnt if path not in paths]
            self._take(moments)

    def _embed(self, image_B3HW: Tensor) -> tuple[Tensor, int, Tensor | None]:
        """Describe images (B, D, P) by the channels that are used, to be taken out, and say where they are image."""
        image_B3HW, inside_BHW = self.model.open(image_B3HW)
        feature_BCHW = self.model.features(image_B3HW)
        return feature_BCHW[:, self.model.index_D].flatten(2).cpu(), -1, _places(inside_BHW, feature_BCHW)

    def _take(self, moments: Moments) -> None:
        check_several(moments.count)
        self.model.count_P = moments.count_P1.flatten().float().to(self.device)
        self.model.mean_PD = moments.mean().float().to(self.device)
        self.model.whitening_PDD = whitening(moments.covariance()).float().to(self.device)


def _places(inside_BHW: Tensor | None, feature_BCHW: Tensor) -> Tensor | None:
    """Tell which places of feature maps are no padding, (B, P); None where nothing is padded."""
    return None if inside_BHW is None else cells_inside(inside_BHW, *feature_BCHW.shape[-2:]).flatten(1).cpu()
