"""PatchCore on real images from files to figures: fit and whole test, beside anomalib's own model, in the same run.

    python -m benchmarks.patchcore_end_to_end SCREW --weights FILE [--ratio 0.1] [--picks 20]

SCREW is a category in MVTec's layout: train/good, test/good, test/KIND, ground_truth/KIND. Both have the same network
(MobileNetV2 of a file, strides 8 and 16), share of patches, neighbours, batches and seed, and read the same files. Fit
is features and coreset; test is reading, scores, maps, and AUROC and best F1 of images and pixels: of anomalib by its
own metrics.

anomalib's selection takes one pass over all patches for each pick, so its time is that of --picks picks, stretched to
all, and it is then given the patches that Loupe chose: plain greedy selection gives the same (``benchmarks.coreset``).
With --picks 0 it chooses all by itself. Times are seconds of the processor over all threads, on the wall in brackets.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from anomalib.metrics.auroc import _AUROC
from anomalib.metrics.f1_score import _F1Max
from anomalib.models.components import KCenterGreedy
from anomalib.models.image.patchcore.torch_model import PatchcoreModel

from callbacks.statistics.curves import count_scores, roc_auc
from callbacks.statistics.histogram import PixelHistogram
from callbacks.statistics.pixels import pixel_metrics
from datamodules.samples.batch import Sample, collate
from models.features.backbones import load_weights
from models.patchcore import PatchCore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SIDE, BATCH = 256, 8
NETWORK = "mobilenetv2_100"
LEVELS: list[Any] = [2, 3]  # strides 8 and 16; the model is annotated for names alone, and takes numbers


def pixels(path: Path) -> torch.Tensor:
    """Read an image (3, H, W) in [0, 1]."""
    read: Any = cv2.imread(str(path))  # an image, or the error on the next line
    image = cv2.resize(read[..., ::-1], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1) / 255


def mask_of(path: Path) -> torch.Tensor:
    """Read the mask (H, W) of a test image; none is marked on a good one."""
    found = path.parents[2] / "ground_truth" / path.parent.name / f"{path.stem}_mask.png"
    if not found.exists():
        return torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask: Any = cv2.imread(str(found), cv2.IMREAD_GRAYSCALE)
    return torch.from_numpy(cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST) > 127)


def batches(paths: Sequence[Path]) -> Iterator[tuple[torch.Tensor, Sequence[Path]]]:
    """Read images in batches, each with its files."""
    for first in range(0, len(paths), BATCH):
        part = paths[first : first + BATCH]
        yield torch.stack([pixels(path) for path in part]), part


class Loupe:
    """Ours."""

    def __init__(self, weights: Path, ratio: float) -> None:
        backbone: dict[str, Any] = {"name": NETWORK, "layers": [2, 3], "weights": str(weights)}
        backbone |= {"mean": [0.5] * 3, "std": [0.5] * 3}
        self.module = PatchCore(backbone, ratio, memory="8GiB").eval()
        self.histogram, self.scores, self.labels = PixelHistogram(), list[float](), list[int]()

    def fit(self, paths: Sequence[Path]) -> float:
        """Fit to good images; no time has to be added."""
        self.module.batches = -(-len(paths) // BATCH)
        for image_B3HW, part in batches(paths):
            samples = [Sample(image, str(path), str(path), 0) for image, path in zip(image_B3HW, part, strict=True)]
            self.module.collect_batch(collate(samples))
        self.module.fit()
        return 0.0

    def test(self, image_B3HW: torch.Tensor, mask_BHW: torch.Tensor) -> None:
        """Judge a batch, and count."""
        found = self.module.model(image_B3HW)
        self.histogram.update(found.anomaly_map, mask_BHW)
        self.scores += found.pred_score.tolist()
        self.labels += mask_BHW.flatten(1).any(dim=1).int().tolist()

    def figures(self) -> dict[str, float]:
        """Compute the figures."""
        counts = count_scores(self.scores, self.labels)
        found = pixel_metrics(self.histogram.counts(), self.histogram.overlaps())
        return {"image AUROC": float(roc_auc(counts.negative, counts.positive))} | {
            name: float(value) for name, value in found.items()
        }


class Anomalib:
    """The peer: its network, selection, search, maps and metrics."""

    def __init__(self, weights: Path, ratio: float, picks: int, theirs: Loupe) -> None:
        self.model = PatchcoreModel(LEVELS, NETWORK, pre_trained=False)
        load_weights(self.model.feature_extractor.feature_extractor, weights)
        self.ratio, self.picks, self.bank_MD = ratio, picks, theirs.module.model.bank_MD
        self.image, self.pixel = [_AUROC(), _F1Max()], [_AUROC(), _F1Max()]

    def fit(self, paths: Sequence[Path]) -> float:
        """Fit to good images; return the seconds that picks would have taken that were not made."""
        self.model.train()
        for image_B3HW, _ in batches(paths):
            self.model((image_B3HW - 0.5) / 0.5)
        self.model.eval()
        if not self.picks:
            self.model.subsample_embedding(self.ratio)
            return 0.0
        sampler = KCenterGreedy(torch.vstack(self.model.embedding_store), self.ratio)
        wanted, sampler.coreset_size = sampler.coreset_size, 2
        spent = []
        for picks in (2, 2 + self.picks):  # the former for what comes before the first pick
            sampler.coreset_size = picks
            started = time.process_time()
            sampler.select_coreset_idxs()
            spent.append(time.process_time() - started)
        self.model.memory_bank = self.bank_MD
        return (spent[1] - spent[0]) / self.picks * (wanted - self.picks) - spent[0]

    def test(self, image_B3HW: torch.Tensor, mask_BHW: torch.Tensor) -> None:
        """Judge a batch, and count."""
        found = self.model((image_B3HW - 0.5) / 0.5)
        label_B = mask_BHW.flatten(1).any(dim=1).int()
        for image, pixel in zip(self.image, self.pixel, strict=True):
            image.update(found.pred_score.flatten(), label_B)
            pixel.update(found.anomaly_map.squeeze(1), mask_BHW.int())

    def figures(self) -> dict[str, float]:
        """Compute the figures."""
        names = ("image AUROC", "image F1", "pixel AUROC", "pixel F1")
        return dict(zip(names, (float(metric.compute()) for metric in self.image + self.pixel), strict=True))


def timed(do: Callable[[], Any]) -> tuple[Any, float, float]:
    """Do something; return what it gave, and seconds of the processor and on the wall."""
    processor, wall = time.process_time(), time.perf_counter()
    given = do()
    return given, time.process_time() - processor, time.perf_counter() - wall


def tested(side: Loupe | Anomalib, paths: Sequence[Path]) -> dict[str, float]:
    """Test all images, and compute the figures."""
    for image_B3HW, part in batches(paths):
        side.test(image_B3HW, torch.stack([mask_of(path) for path in part]))
    return side.figures()


@torch.inference_mode()
def main() -> None:
    """Print what each side took, and what it found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a category in MVTec's layout")
    parser.add_argument("--weights", type=Path, required=True, help=f"file of {NETWORK}")
    parser.add_argument("--ratio", type=float, default=0.1)
    parser.add_argument("--picks", type=int, default=20, help="that anomalib is timed with; 0: all")
    parser.add_argument("--images", type=int, help="at most, to try it")
    options = parser.parse_args()
    good = sorted((options.data / "train" / "good").iterdir())[: options.images]
    asked = sorted((options.data / "test").glob("*/*"))[: options.images]
    print(f"{len(good)} to fit, {len(asked)} to test, {torch.get_num_threads()} threads", flush=True)
    loupe = Loupe(options.weights, options.ratio)
    for name in ("Loupe", "anomalib"):
        side = loupe if name == "Loupe" else Anomalib(options.weights, options.ratio, options.picks, loupe)
        torch.manual_seed(0)
        more, fit, wall = timed(partial(side.fit, good))
        print(f"{name}: fit {fit + more:.1f} s ({wall:.1f} on the wall, {more:.1f} of it not made)", flush=True)
        figures, test, wall = timed(partial(tested, side, asked))
        print(f"{name}: test {test:.1f} s ({wall:.1f}), {figures}; load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
