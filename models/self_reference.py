"""Self-reference: an image is judged by itself alone; a region is anomalous where nothing else in it looks alike.

The image is laid out in blocks of four kinds, as tiles of a two-by-two pattern. The blocks of one kind are judged by
a model of the patches everywhere else, never of a patch that shares a pixel with what is judged. The model is a normal
distribution of patches; the distance to it is Mahalanobis's ("RX": Reed and Yu, "Adaptive multiple-band CFAR
detection", IEEE Trans. ASSP 38(10), 1990, with the judged region as the guard window).

It needs no training, and suits images that repeat: textures, sections, powder, lattices. What is normal but there
only once, such as the core of a fiber, it takes for a defect.

Letters: C channels, H and W pixels, k side of a patch, D = C k k values of a patch, P patches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
from anomalib.data import InferenceBatch
from torch.nn import functional as F

from .components.padding import SeesPadding, frame_of
from .components.pooling import check_share, top_mean
from .components.reconstruction import LUMA, to_grey
from .export_plan import ExportPlan
from .one_pass import OnePassModel

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ((0, 0), (0, 1), (1, 0), (1, 1))  # of blocks: parity of their row and column
QUANTUM = 1 / 255**2 / 12  # variance that rounding to 8 bits adds: keeps even a constant image from a division by 0


class Normal(NamedTuple):
    """A distribution of patches: its mean (D,), and the Cholesky factor of its covariance (D, D)."""

    mean_D: Tensor
    factor_DD: Tensor

    @classmethod
    def fit(cls, patch_PD: Tensor, ridge: float) -> Normal:
        """Fit to patches, in float64; ``ridge`` times the mean variance is added to every variance."""
        patch_PD = patch_PD.double()
        mean_D = patch_PD.mean(dim=0)
        centred_PD = patch_PD - mean_D
        covariance_DD = centred_PD.T @ centred_PD / len(patch_PD)
        covariance_DD.diagonal().add_(ridge * covariance_DD.diagonal().mean() + QUANTUM)
        return cls(mean_D, torch.linalg.cholesky(covariance_DD))

    def distance(self, patch_PD: Tensor) -> Tensor:
        """Return the Mahalanobis distance of patches, over the root of D: about 1 for a usual patch, (P,)."""
        centred_DP = (patch_PD.double() - self.mean_D).T
        white_DP = torch.linalg.solve_triangular(self.factor_DD, centred_DP, upper=False)
        distance_P: Tensor = white_DP.square().mean(dim=0).sqrt()
        return distance_P.to(patch_PD.dtype)


class SelfReferenceModel(SeesPadding):
    """Judges each image by itself; see the module.

    Args:
        patch_size: k, odd.
        block_size: Side of the blocks in pixels.
        step: Every n-th patch, along both axes, is fitted to.
        ridge: Added to every variance, as a share of the mean variance.
        channels: 1: the image in grey; 3: as it is.
        top_share: Share of the pixels whose mean is the score.
    """

    def __init__(
        self, patch_size: int, block_size: int, step: int, ridge: float, channels: Literal[1, 3], top_share: float
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.block_size = block_size
        self.step = step
        self.ridge = ridge
        self.channels = channels
        self.top_share = top_share

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images: raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W); about 1 is usual.

        Raises:
            ValueError: The images are too small to leave anything beside a region to judge it by.
        """
        image_B3HW, inside_BHW = self.open(image_B3HW)
        seen_BCHW = to_grey(image_B3HW) if self.channels == 1 else image_B3HW
        with torch.autocast(image_B3HW.device.type, enabled=False):  # distances are differences of near equals
            insides = [None] * len(seen_BCHW) if inside_BHW is None else list(inside_BHW)
            pairs = zip(seen_BCHW.float(), insides, strict=True)
            map_BHW = torch.stack([self._judge_inside(seen_CHW, inside_HW) for seen_CHW, inside_HW in pairs])
        return InferenceBatch(pred_score=top_mean(map_BHW, self.top_share, inside_BHW), anomaly_map=map_BHW)

    def _judge_inside(self, seen_CHW: Tensor, inside_HW: Tensor | None) -> Tensor:
        """Judge an image without its padding, where the map (H, W) is 0; with it, where it is too narrow."""
        rows, columns = frame_of(inside_HW, seen_CHW.shape)
        inner_CHW = seen_CHW[:, rows, columns]
        if inside_HW is None or not self.suffices(*inner_CHW.shape[-2:]):
            self.check_size(*seen_CHW.shape[-2:])
            whole_HW = self.judge(seen_CHW)
            return whole_HW if inside_HW is None else whole_HW * inside_HW
        map_HW = seen_CHW.new_zeros(seen_CHW.shape[-2:])
        map_HW[rows, columns] = self.judge(inner_CHW)
        return map_HW

    def export_plan(self) -> ExportPlan:
        """Plan no graph: a runner computes it from these settings."""
        names = ("patch_size", "block_size", "step", "ridge", "top_share")
        settings = {"weights": list(LUMA) if self.channels == 1 else None, "quantum": QUANTUM}
        rules = {name: getattr(self, name) for name in names}
        return ExportPlan({"kind": "self_reference", **settings, **rules}, {})

    def judge(self, seen_CHW: Tensor) -> Tensor:
        """Judge one image: its map (H, W). Each kind of block is judged by a model of its own."""
        height, width = seen_CHW.shape[-2:]
        radius = self.patch_size // 2
        padded_1CHW = F.pad(seen_CHW.unsqueeze(0), (radius,) * 4, mode="reflect")
        fitted_PD = F.unfold(padded_1CHW, self.patch_size, stride=self.step)[0].T
        map_HW = seen_CHW.new_zeros(height, width)
        for kind in KINDS:
            model = Normal.fit(fitted_PD[self._reference(height, width, kind).to(seen_CHW.device)], self.ridge)
            for top in range(kind[0] * self.block_size, height, 2 * self.block_size):
                for left in range(kind[1] * self.block_size, width, 2 * self.block_size):
                    block = padded_1CHW[
                        ..., top : top + self.block_size + 2 * radius, left : left + self.block_size + 2 * radius
                    ]
                    size = (block.shape[-2] - 2 * radius, block.shape[-1] - 2 * radius)
                    distance_P = model.distance(F.unfold(block, self.patch_size)[0].T)
                    map_HW[top : top + size[0], left : left + size[1]] = distance_P.reshape(size)
        return map_HW

    def suffices(self, height: int, width: int) -> bool:
        """Tell whether every kind of block leaves as many patches as a patch has values; a single block leaves none."""
        if min(height, width) <= max(self.block_size, self.patch_size):
            return False
        fewest = min(int(self._reference(height, width, kind).sum()) for kind in KINDS)
        return fewest >= self.channels * self.patch_size**2

    def check_size(self, height: int, width: int) -> None:
        """Refuse images in which a kind of block leaves fewer patches than a patch has values.

        Raises:
            ValueError: Says what would do.
        """
        fewest = min(int(self._reference(height, width, kind).sum()) for kind in KINDS)
        values = self.channels * self.patch_size**2
        if fewest < values:
            raise ValueError(
                f"Expected pictures that leave at least {values} patches to judge any block by, but one of "
                f"{height} x {width} leaves {fewest}; set data.image_size higher, or model.patch_size, block_size or "
                "step lower."
            )

    def _reference(self, height: int, width: int, kind: tuple[int, int]) -> Tensor:
        """Tell which of the fitted patches share no pixel with any patch of a kind's blocks, (P,)."""
        rows, columns = (self._near(length, parity) for length, parity in zip((height, width), kind, strict=True))
        return ~(rows.unsqueeze(1) & columns.unsqueeze(0)).flatten()

    def _near(self, length: int, parity: int) -> Tensor:
        """Tell which patches along an axis are less than a patch away from a block of one parity."""
        centre = torch.arange(0, length, self.step)
        starts = torch.arange(parity * self.block_size, max(length, 1), 2 * self.block_size)
        reach = self.patch_size - 1
        before = centre.unsqueeze(1) >= starts - reach
        after = centre.unsqueeze(1) <= starts + self.block_size - 1 + reach
        return (before & after).any(dim=1)


class SelfReference(OnePassModel):
    """Judges every image by its own other regions; there is nothing to train.

    Args:
        patch_size: Side of the patches in pixels; odd, and no larger than the defects that matter are wide.
        block_size: Side of the blocks that are judged together; at least as large as the defects.
        step: Every n-th patch, along both axes, is fitted to.
        ridge: Added to every variance of the patches, as a share of their mean variance; above 0.
        channels: 1: images in grey; 3: as they are.
        top_share: Share of the pixels, the worst ones, whose mean is the score.

    Raises:
        ValueError: An argument is out of range.
    """

    not_exportable: ClassVar[str] = (
        "it fits a model to every picture that it judges, and no graph can do that; the runner of a bundle does it"
    )

    def __init__(
        self,
        patch_size: int = 9,
        block_size: int = 32,
        step: int = 2,
        ridge: float = 0.01,
        channels: Literal[1, 3] = 1,
        top_share: float = 0.001,
    ) -> None:
        super().__init__()
        if patch_size < 1 or patch_size % 2 == 0:
            raise ValueError(f"Expected model.patch_size to be odd, but found {patch_size}.")
        if min(block_size, step) < 1 or ridge <= 0:
            raise ValueError(
                "Expected model.block_size and model.step to be at least 1 and model.ridge above 0, but found "
                f"{block_size}, {step} and {ridge}."
            )
        check_share(top_share, "model.top_share")
        self.model: SelfReferenceModel = SelfReferenceModel(patch_size, block_size, step, ridge, channels, top_share)

    def collect(self, image_B3HW: Tensor) -> None:
        """Keep nothing: other images say nothing here. Only their size is checked."""
        self.model.check_size(*image_B3HW.shape[-2:])

    def fit(self) -> None:
        """Do nothing: there is nothing to fit."""
