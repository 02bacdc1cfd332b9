"""Feature networks under a plain PatchCore: image AUROC on real images, milliseconds per image, size.

    python -m benchmarks.backbones --data FOLDER
    python -m benchmarks.backbones --data FOLDER --weights mobilenetv2_100=FILE --weights wide_resnet50_2=FILE

FOLDER holds any of ``fiber/``, ``benchmark/screw/``, ``print3d/`` and ``meta_atom/``; what is missing is left out.
Images are 256x256 (meta-atom tiles 128x128). Maps are averaged over 3x3 cells, brought to the grid of stride 8 and
concatenated; a bank is a random draw of patches of good images; an image's score is the largest distance of any of
its patches to the bank. Every network is treated alike, and none is tuned. Rows repeat the whole over seeds, which
draw the bank and, on fiber, the split; the interval is the mean over seeds of bootstrap intervals (95 %).
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from callbacks.statistics.intervals import image_intervals
from datamodules.files.images import read_image, resize, scale, to_rgb
from datamodules.files.suffixes import is_image
from datamodules.progress import track
from models.features.backbones import load_weights
from models.features.loupe_net import WEIGHTS, LoupeNet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

Pictures: TypeAlias = "npt.NDArray[np.uint8]"  # (N, H, W, 3)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5,) * 3, (0.5,) * 3)


@dataclass(frozen=True)
class DataSet:
    """Images and how they are split.

    Attributes:
        pictures: (N, H, W, 3).
        defective: (N,) whether each is defective.
        split: From a seed, which images make the bank and which are scored.
    """

    pictures: Pictures
    defective: npt.NDArray[np.bool_]
    split: Callable[[int], tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]


@dataclass(frozen=True)
class Candidate:
    """A feature network from RGB in [0, 1], which of its maps to use (none: it is only timed), and its megabytes."""

    name: str
    network: Callable[[Tensor], Sequence[Tensor]]
    maps: tuple[int, ...]
    megabytes: float


def read_all(paths: Sequence[Path], side: int) -> Pictures:
    """Read images as RGB, resized to side x side."""
    return np.stack([to_rgb(resize(scale(read_image(path)), side, side)) for path in track(paths, "reading pictures")])


def files(folder: Path) -> list[Path]:
    """The images of a folder and below, sorted."""
    return sorted(path for path in folder.rglob("*") if is_image(path))


def fiber(root: Path) -> DataSet:
    """55 good images make the bank, 20 good and 8 defective are scored; the seed splits the good ones."""
    with (root / "fiber" / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in {"good", "defective"}]
    defective = np.array([row["label"] == "defective" for row in rows])

    def split(seed: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        good = np.random.default_rng(seed).permutation(np.flatnonzero(~defective))
        return good[:55], np.concatenate([good[55:], np.flatnonzero(defective)])

    return DataSet(read_all([root / "fiber" / row["image"] for row in rows], 256), defective, split)


def screw(root: Path) -> DataSet:
    """Every other good training image makes the bank; the whole test folder is scored."""
    bank = files(root / "benchmark" / "screw" / "train" / "good")[::2]
    test = files(root / "benchmark" / "screw" / "test")
    return _fixed(bank, test, [path.parent.name != "good" for path in test], 256)


def print3d(root: Path) -> DataSet:
    """The first ten good layers make the bank; six good and all defective ones are scored."""
    good = files(root / "print3d" / "No_Defect")
    bad = [path for path in files(root / "print3d") if path.parent.name != "No_Defect"]
    return _fixed(good[:10], good[10:] + bad, [False] * len(good[10:]) + [True] * len(bad), 256)


def meta_atom(root: Path) -> DataSet:
    """Good tiles of array 1 make the bank; good tiles of array 2 and its missing and collapsed ones are scored."""
    with (root / "meta_atom" / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["class"] in {"Good", "Missing", "Collapsed"}]
    bank = [row for row in rows if row["array"] == "Array_1Crop" and row["class"] == "Good"][::2]
    second = [row for row in rows if row["array"] == "Array_2Crop"]
    test = [row for row in second if row["class"] == "Good"][::2] + [row for row in second if row["class"] != "Good"]
    bank_paths, paths = ([root / "meta_atom" / row["image"] for row in some] for some in (bank, test))
    return _fixed(bank_paths, paths, [row["class"] != "Good" for row in test], 128)


def _fixed(bank: Sequence[Path], test: Sequence[Path], defective: Sequence[bool], side: int) -> DataSet:
    order = np.arange(len(bank) + len(test))
    labels = np.array([False] * len(bank) + list(defective))
    return DataSet(read_all([*bank, *test], side), labels, lambda _: (order[: len(bank)], order[len(bank) :]))


DATA_SETS = {
    "fiber": ("fiber", fiber),
    "screw": ("benchmark/screw", screw),
    "print3d": ("print3d", print3d),
    "meta_atom": ("meta_atom", meta_atom),
}


@torch.inference_mode()
def embed(candidate: Candidate, pictures: Pictures) -> Tensor:
    """Patch features (N, h * w, C) on the grid of stride 8, in half precision."""
    batches = []
    for start in range(0, len(pictures), 8):
        batch = torch.from_numpy(pictures[start : start + 8]).permute(0, 3, 1, 2).float() / 255
        grid = (batch.shape[2] // 8, batch.shape[3] // 8)
        chosen = candidate.network(batch)
        maps = [F.avg_pool2d(chosen[index], 3, 1, 1) for index in candidate.maps]
        level = torch.cat([_to_grid(some, grid) for some in maps], dim=1)
        batches.append(level.flatten(2).transpose(1, 2).half())
    return torch.cat(batches)


def _to_grid(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    shrinks = maps.shape[-1] > grid[1]
    return F.adaptive_avg_pool2d(maps, grid) if shrinks else F.interpolate(maps, grid, mode="bilinear")


@torch.inference_mode()
def patch_scores(bank_NPC: Tensor, test_NPC: Tensor, bank_size: int, seed: int) -> list[float]:
    """The largest distance of any patch of each test image to a random draw of ``bank_size`` bank patches."""
    patches = bank_NPC.flatten(0, 1)
    drawn = torch.randperm(len(patches), generator=torch.Generator().manual_seed(seed))[:bank_size]
    bank = patches[drawn].float()
    blocks = [(block.square().sum(dim=1), block.T) for block in torch.split(bank, 1024)]  # which stay in caches
    scores = []
    for picture in test_NPC.float():
        nearest = [torch.addmm(square, picture, block, alpha=-2).amin(dim=1) for square, block in blocks]
        squared = reduce(torch.minimum, nearest) + picture.square().sum(dim=1)
        scores.append(float(squared.clamp_min(0).sqrt().max()))
    return scores


def auroc_cell(data: DataSet, embedded: Tensor, bank_size: int, seeds: int) -> str:
    """Mean AUROC over seeds, the lowest of them, and the mean interval, as text."""
    estimates = []
    for seed in range(seeds):
        bank, test = data.split(seed)
        scores = patch_scores(embedded[torch.from_numpy(bank)], embedded[torch.from_numpy(test)], bank_size, seed)
        labels = data.defective[test].astype(int)
        estimates.append(image_intervals(scores, labels, np.arange(len(scores)))["auroc"])
    value, low, high = (np.mean([getattr(one, end) for one in estimates]) for end in ("value", "low", "high"))
    return f"{value:.3f} [{low:.2f}, {high:.2f}], lowest {min(one.value for one in estimates):.3f}"


@torch.inference_mode()
def milliseconds(candidates: Sequence[Candidate], repeats: int = 40) -> list[float]:
    """Median time of one 256x256 image; networks take turns, so that a busy moment hits all alike."""
    picture = torch.rand(1, 3, 256, 256)
    taken: list[list[float]] = [[] for _ in candidates]
    for repeat in range(repeats + 3):
        for times, candidate in zip(taken, candidates, strict=True):
            start = time.perf_counter()
            candidate.network(picture)
            if repeat >= 3:
                times.append(1000 * (time.perf_counter() - start))
    return [statistics.median(times) for times in taken]


def loupe(maps: tuple[int, ...]) -> Candidate:
    """The network that ships."""
    net = LoupeNet()
    load_weights(net, WEIGHTS)
    net.eval().to(memory_format=torch.channels_last)  # as a Backbone runs it
    strides = " + ".join(str(LoupeNet.STRIDES[index]) for index in maps)
    size = WEIGHTS.stat().st_size / 1e6
    return Candidate(f"loupe, strides {strides}", lambda x: net((x - net.MEAN) / net.STD), maps, size)


def timm_network(name: str, weights: Path | None, maps: tuple[int, ...] = (0, 1)) -> Candidate:
    """A network of timm's at strides 8 and 16 (or 4, 8, 16 with three maps), from a file or untrained (seed 0)."""
    from models.features.backbones import UNTRAINED, Backbone  # noqa: PLC0415  # timm takes seconds to import

    converted = name.startswith("mobilenetv2") and weights is not None
    levels = [2, 3] if len(maps) == 2 else [1, 2, 3]
    torch.manual_seed(0)
    # The public MobileNetV2 file was converted from TensorFlow: its own padding, and inputs scaled to [-1, 1].
    net = Backbone(
        name,
        levels,
        *(HALF if converted else IMAGENET),
        weights=UNTRAINED if weights is None else str(weights),
        options={"pad_type": "same"} if converted else {},
    )
    strides = " + ".join(str(2 ** (level + 1)) for level in levels)
    label = f"{name}{', untrained' if weights is None else ''}, strides {strides}"
    return Candidate(label, net, maps, _parameters(net) * 4 / 1e6)


def whole_network(name: str) -> Candidate:
    """The same network to its last layer, as timm builds it: its weights do not change what it costs."""
    import timm  # noqa: PLC0415  # takes seconds

    net = timm.create_model(name).eval()
    return Candidate(f"{name}, whole, as timm builds it", net, (), _parameters(net) * 4 / 1e6)


def _parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def table(candidates: Sequence[Candidate], root: Path, bank_size: int, seeds: int) -> str:
    """Measure everything; return a Markdown table."""
    found = [name for name, (folder, _) in DATA_SETS.items() if (root / folder).is_dir()]
    if not found:
        sys.exit(f"Expected {root} to hold one of {', '.join(f for f, _ in DATA_SETS.values())}, found none of them.")
    cells = [[candidate.name] for candidate in candidates]
    for name in found:
        data = DATA_SETS[name][1](root)
        for row, candidate in zip(cells, track(candidates, name), strict=True):
            if not candidate.maps:
                row.append("-")
                continue
            row.append(auroc_cell(data, embed(candidate, data.pictures), bank_size, seeds))
            print(f"{name}, {candidate.name}: {row[-1]}", file=sys.stderr)  # whoever stops it keeps what it has found
    for row, candidate, ms in zip(cells, candidates, milliseconds(candidates), strict=True):
        row += [f"{ms:.1f}", f"{candidate.megabytes:.1f}"]
    header = ["features", *found, "ms", "MB"]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *cells])


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=FILE", help="a timm network to add")
    parser.add_argument("--bank", type=int, default=10_000, help="patches in the bank")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    given = [(name, Path(path)) for name, _, path in (entry.partition("=") for entry in args.weights)]
    candidates = [loupe((1, 2)), loupe((0, 1, 2))]
    for name, path in given:
        candidates += [timm_network(name, path), timm_network(name, path, (0, 1, 2))]
    candidates.append(timm_network("resnet18", None))
    candidates += [whole_network(name) for name, _ in given]
    print(table(candidates, args.data, args.bank, args.seeds))


if __name__ == "__main__":
    main()
