"""The networks of EfficientAD, their losses, and the scale of their maps.

Batzner et al., WACV 2024, arXiv 2303.14535. A second half of the student imitates an autoencoder, which sees the
image as a whole: where the two disagree, parts are right but in a wrong place. Both maps are brought to one scale
and averaged.

Shape letters: B batch, H and W image height and width, C channels of the teacher's map, D = 2 C of the student's, h and
w their cells, N values or images.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from anomalib.data import InferenceBatch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F
from torchvision.transforms import functional as tv

from models.features.joined import join_maps
from models.features.patch_description import BORDER, PATCH_DESCRIPTION

from .efficient_ad_nets import Autoencoder, StudentName, build_student
from .padding import SeesPadding, cells_inside, mean_inside, silenced, worst

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from models.features.backbones import Backbone

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LOW_QUANTILE, HIGH_QUANTILE = 0.9, 0.995  # of good maps: they become 0 and 0.1 (section 3.4)


class Losses(NamedTuple):
    """The three losses of a step: student against teacher, autoencoder against teacher, student against autoencoder."""

    student: Tensor
    autoencoder: Tensor
    agreement: Tensor


class MapScale(nn.Module):
    """Brings raw distances to a common scale: of good images, one quantile becomes 0 and a higher one 0.1."""

    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.tensor(0.0))
        self.register_buffer("high", torch.tensor(0.1))  # until it is fitted, maps stay as they are

    def fit(self, value_P: Tensor) -> None:
        """Set the scale by the values of the raw maps of good images."""
        low, high = np.quantile(value_P.float().cpu().numpy(), [LOW_QUANTILE, HIGH_QUANTILE])
        self.low.fill_(float(low))
        self.high.fill_(max(float(high), float(low) * (1 + 1e-6), float(low) + 1e-12))

    def forward(self, map_BHW: Tensor) -> Tensor:
        """Scale maps; values may be negative."""
        return 0.1 * (map_BHW - self.low) / (self.high - self.low)


class EfficientAdModel(SeesPadding):
    """The networks and their losses.

    Args:
        teacher: From images in [0, 1] to maps; frozen. Several maps are joined on the student's grid.
        student: Which network learns.
        hard_quantile: Share of the squared differences, in [0, 1), that are small enough to be ignored in training.
    """

    mean: Tensor
    std: Tensor
    teacher_mean: Tensor
    teacher_std: Tensor

    def __init__(self, teacher: Backbone, student: StudentName, hard_quantile: float) -> None:
        super().__init__()
        self.teacher = teacher
        self.hard_quantile = hard_quantile
        with torch.no_grad():
            self.channels = sum(level.shape[1] for level in teacher(torch.zeros(1, 3, 64, 64)))
        self.border = 0 if pads(teacher.origin["name"], student) else BORDER
        self.student = build_student(student, 2 * self.channels, padding=not self.border)
        self.autoencoder = Autoencoder(self.channels)
        self.student_scale, self.autoencoder_scale = MapScale(), MapScale()
        for learner in (self.student, self.autoencoder):
            learner.to(memory_format=torch.channels_last)  # a fifth less time on a processor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        self.register_buffer("teacher_mean", torch.zeros(1, self.channels, 1, 1))
        self.register_buffer("teacher_std", torch.ones(1, self.channels, 1, 1))

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images: raw ``anomaly_map`` (B, H, W), about 0 where good, and ``pred_score`` (B,), its maximum."""
        image_B3HW, inside_BHW = self.open(image_B3HW)
        student_BHW, autoencoder_BHW = self.raw_maps(image_B3HW)
        map_BHW = 0.5 * self.student_scale(student_BHW) + 0.5 * self.autoencoder_scale(autoencoder_BHW)
        return InferenceBatch(pred_score=worst(map_BHW, inside_BHW), anomaly_map=map_BHW)

    def raw_maps(self, image_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """Give two maps (B, H, W) of mean squared differences: student to teacher, student to autoencoder."""
        height, width = image_B3HW.shape[-2:]
        like_teacher, like_autoencoder = self.study(image_B3HW)
        grid = like_teacher.shape[-2:]
        taught_BChw = self.teach(image_B3HW, grid)
        rebuilt_BChw = self.autoencoder(self.normalise(image_B3HW), *grid)
        maps = [
            F.pad((one - other).square().mean(dim=1, keepdim=True), [self.border] * 4)
            for one, other in ((taught_BChw, like_teacher), (rebuilt_BChw, like_autoencoder))
        ]
        student, autoencoder = (F.interpolate(one, size=(height, width), mode="bilinear").squeeze(1) for one in maps)
        return student, autoencoder

    def losses(self, image_B3HW: Tensor, penalty_B3HW: Tensor) -> Losses:
        """Compare the networks on good images, and the student with silence on foreign ones."""
        image_B3HW, inside_BHW = self.open(image_B3HW)
        like_teacher = self.study_half(image_B3HW, 0)
        grid = like_teacher.shape[-2:]
        inside_Bhw = None if inside_BHW is None else self.cells(inside_BHW, grid)
        hard = hard_mean((self.teach(image_B3HW, grid) - like_teacher).square(), self.hard_quantile, inside_Bhw)
        penalty = self.study_half(penalty_B3HW, 0).square().mean()
        varied_B3HW = torch.stack([vary(image) for image in image_B3HW])
        taught_BChw = self.teach(varied_B3HW, grid)
        rebuilt_BChw = self.autoencoder(self.normalise(varied_B3HW), *grid)
        like_autoencoder = self.study_half(varied_B3HW, 1)
        return Losses(
            hard + penalty,
            mean_inside((rebuilt_BChw - taught_BChw).square(), inside_Bhw),
            mean_inside((like_autoencoder - rebuilt_BChw).square(), inside_Bhw),
        )

    def cells(self, inside_BHW: Tensor, grid: Sequence[int]) -> Tensor:
        """Tell which cells of the student's grid show an image and no padding, (B, h, w)."""
        border = self.border
        whole_Bhw = cells_inside(inside_BHW, grid[0] + 2 * border, grid[1] + 2 * border)
        return whole_Bhw[:, border : border + grid[0], border : border + grid[1]]

    def study(self, image_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """Ask the student for its two halves (B, C, h, w): what teacher and autoencoder would give."""
        (both_BDhw,) = self.student(self.normalise(image_B3HW))
        return both_BDhw[:, : self.channels], both_BDhw[:, self.channels :]

    def study_half(self, image_B3HW: Tensor, index: int) -> Tensor:
        """Ask the student for one of its halves alone (B, C, h, w): training needs no other, and saves its time."""
        half = slice(index * self.channels, (index + 1) * self.channels)
        state = dict(self.student.named_parameters())
        last = {key: state[key][half] for key in state if key.rpartition(".")[0] in self.student.LAST}
        (half_BChw,) = functional_call(self.student, last, (self.normalise(image_B3HW),))
        given: Tensor = half_BChw
        return given

    @torch.no_grad()
    def teach(self, image_B3HW: Tensor, grid: Sequence[int]) -> Tensor:
        """Ask the teacher (B, C, h, w): its maps on the student's grid, every channel of mean 0 and variance 1."""
        return (self.join(image_B3HW, grid) - self.teacher_mean) / self.teacher_std

    @torch.no_grad()
    def join(self, image_B3HW: Tensor, grid: Sequence[int] | None = None) -> Tensor:
        """Join the teacher's maps on a grid, by default the finest of theirs, as they are."""
        return join_maps(self.teacher(image_B3HW), grid)

    def normalise(self, image_B3HW: Tensor) -> Tensor:
        """Normalise images in [0, 1] as ImageNet's are, for student and autoencoder."""
        return (image_B3HW - self.mean) / self.std

    def set_teacher_statistics(self, mean_C: Tensor, variance_C: Tensor) -> None:
        """Take mean and variance of the teacher's channels; a channel that hardly varies is not blown up."""
        std_C = variance_C.clamp_min(0).sqrt()
        self.teacher_mean.copy_(mean_C.view(1, -1, 1, 1))
        self.teacher_std.copy_(std_C.clamp_min(1e-3 * float(std_C.max()) or 1.0).view(1, -1, 1, 1))

    @torch.no_grad()
    def fit_scales(self, image_N3HW: Tensor) -> None:
        """Set the scale of both maps by good images."""
        pairs = [self._raw_values(image[None]) for image in image_N3HW]
        student, autoencoder = (torch.cat(values) for values in zip(*pairs, strict=True))
        self.student_scale.fit(student)
        self.autoencoder_scale.fit(autoencoder)

    def _raw_values(self, image_13HW: Tensor) -> list[Tensor]:
        """List the values of both raw maps where an image is not padded."""
        image_13HW, inside_1HW = self.open(image_13HW)
        maps = self.raw_maps(image_13HW)
        return [map_1HW.flatten() if inside_1HW is None else map_1HW[inside_1HW] for map_1HW in maps]


def hard_mean(value_BChw: Tensor, quantile: float, inside_Bhw: Tensor | None = None) -> Tensor:
    """Average, image by image, the values that reach a quantile (equation 1), so that batches may have any size.

    Padding does not reach it: differences are at least 0, and its are taken to be.
    """
    value_BN = silenced(value_BChw, inside_Bhw).flatten(1)
    count = value_BN.shape[1] - math.ceil(quantile * (value_BN.shape[1] - 1))
    return value_BN.topk(count, dim=1, sorted=False).values.mean()


def vary(image_3HW: Tensor) -> Tensor:
    """Change brightness, contrast or saturation by a factor between 0.8 and 1.2."""
    change = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation)[int(torch.randint(3, ()))]
    varied: Tensor = change(image_3HW, float(torch.empty(()).uniform_(0.8, 1.2)))
    return varied


def pads(teacher: str, student: str) -> bool:
    """Tell whether networks pad: patch description networks among themselves do without, as in the paper."""
    return not {teacher, student}.issubset(PATCH_DESCRIPTION)
