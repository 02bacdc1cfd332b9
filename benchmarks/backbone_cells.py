"""What one feature network does on one data set under PatchCore: the cells of ``benchmarks.backbones``.

Features are computed once for each network and set, and serve every seed. A seed draws the split and the first patch
of the coreset. Coreset, search, smoothing of maps, weighing and pooling of scores are those of ``models.PatchCore``.

Letters: N images, D channels, h and w patches, B images of a batch, H and W pixels.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from callbacks.statistics.bootstrap import Resampling
from callbacks.statistics.histogram import PixelHistogram
from callbacks.statistics.intervals import image_intervals
from callbacks.statistics.pixels import pixel_intervals
from datamodules.files.whole_files import write_whole
from datamodules.progress import track
from models.components.coreset import k_center_greedy, projection
from models.components.patchcore_model import PatchCoreModel

from .backbone_sets import SIDE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .backbone_sets import Images

BATCH = 8
METRICS = ("auroc", "ap", "pixel_ap", "aupro_05")


@dataclass(frozen=True)
class Cell:
    """What came out, a value for each seed; ``low`` and ``high`` are the ends of 95 % intervals over images."""

    value: dict[str, list[float]]
    low: dict[str, list[float]]
    high: dict[str, list[float]]

    def mean(self, metric: str) -> tuple[float, float, float] | None:
        """Return value, low and high, each a mean over seeds; None where the set has no masks."""
        if metric not in self.value:
            return None
        value, low, high = (float(np.mean(part[metric])) for part in (self.value, self.low, self.high))
        return value, low, high

    def write(self, path: Path) -> None:
        """Keep it."""
        write_whole(path, json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, path: Path) -> Cell:
        """Read what was kept."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


class OnGrids(PatchCoreModel):
    """A PatchCore that is given features of patches (B, D, h, w) instead of images."""

    def __init__(self) -> None:
        super().__init__(nn.Identity(), num_neighbors=9)  # type: ignore[arg-type]  # asked for nothing

    def embed(self, image_B3HW: Tensor) -> Tensor:
        """Return what was given."""
        return image_B3HW

    def _map(self, distances_Bhw: list[Tensor], size: Sequence[int], cells_Bhw: list[Tensor] | None) -> Tensor:
        """Make maps as large as the images were."""
        del size
        return super()._map(distances_Bhw, (SIDE, SIDE), cells_Bhw)


@torch.inference_mode()
def describe(backbone: nn.Module, images: Images, name: str) -> Tensor:
    """Describe every patch, as PatchCore does: (N, D, h, w), in half precision."""
    model = PatchCoreModel(backbone, num_neighbors=9).eval()  # type: ignore[arg-type]  # any that gives maps
    batches = torch.split(images.pixels_N3HW, BATCH)
    return torch.cat([model.embed(some.float() / 255).half() for some in track(batches, f"features of {name}")])


def side_by_side(features: Sequence[Tensor], bank: Sequence[int]) -> Tensor:
    """Join features of several networks, each brought to a variance of 1 over the images of the bank."""
    parts = []
    for one_NDhw in features:
        learnt_DP = one_NDhw[list(bank)].float().transpose(0, 1).flatten(1)
        parts.append((one_NDhw.float() / learnt_DP.var(dim=1).sum().sqrt()).half())
    return torch.cat(parts, dim=1)


@torch.inference_mode()
def score(
    grid_NDhw: Tensor, images: Images, splits: Mapping[int, tuple[Sequence[int], Sequence[int]]], bank_size: int
) -> Cell:
    """Fill a bank and score the other images, for each seed and its split."""
    parts: list[dict[str, dict[str, float]]] = []
    for seed, (bank, scored) in splits.items():
        torch.manual_seed(seed)
        model = OnGrids().eval()
        patch_ND = grid_NDhw[list(bank)].float().permute(0, 2, 3, 1).flatten(0, 2)
        matrix_Dd = projection(*patch_ND.shape)
        short_ND = patch_ND if matrix_Dd is None else patch_ND @ matrix_Dd
        start = int(torch.randint(len(patch_ND), ()))
        model.set_bank(patch_ND[list(k_center_greedy(short_ND, min(bank_size, len(patch_ND)), start))])
        parts.append(_judge(model, grid_NDhw, images, list(scored)))
    names = [name for name in METRICS if all(name in part for part in parts)]
    return Cell(*({name: [part[name][end] for part in parts] for name in names} for end in ("value", "low", "high")))


def _judge(model: OnGrids, grid_NDhw: Tensor, images: Images, scored: Sequence[int]) -> dict[str, dict[str, float]]:
    histogram, scores = PixelHistogram(), []
    group = images.table["group"].astype(str).tolist()
    for some in (scored[first : first + BATCH] for first in range(0, len(scored), BATCH)):
        found = model(grid_NDhw[some].float())
        scores += found.pred_score.tolist()
        if images.marked:
            histogram.update(found.anomaly_map, images.mask_NHW[some], [group[index] for index in some])
    labels = images.defective[scored].astype(int)
    of_images = image_intervals(scores, labels, [group[index] for index in scored])
    estimates = {"auroc": of_images["auroc"], "ap": of_images["average_precision"]}
    if images.marked:
        of_pixels = pixel_intervals(histogram, resampling=Resampling(resamples=200))
        estimates |= {"pixel_ap": of_pixels["average_precision"], "aupro_05": of_pixels["aupro_05"]}
    return {name: estimate.to_dict() for name, estimate in estimates.items()}
