"""PatchCore's scores, copies of good images, and enlarged images: image AUROC by data set, with what it costs.

    python -m benchmarks.patchcore_scores --data FOLDER [--sets screw fiber ...] [--seeds 3] [--train 60] [--bank 2000]
    python -m benchmarks.patchcore_scores --data FOLDER --by sizes --train 320 --bank 4000
    python -m benchmarks.patchcore_scores --data FOLDER --by settings --train 80 --bank 4000 [--results FILE]
    python -m benchmarks.patchcore_scores --by eyes --drawing-seed 7 --train 80 --bank 4000

FOLDER holds any of ``benchmark/screw``, ``fiber``, ``print3d`` and ``oring/spindle``; drawn sets need none. Images are
256x256, features LoupeNet's. A seed decides the split, which never cuts a group, and the bank: a greedy coreset of up
to ``--train`` good images, evenly apart. All other images are scored, by the worst patch and by the mean of the ten
worst, with banks of images as they are, and of their copies, too; or, --by sizes, of images as they are and of twice
their size, as ``model=patchcore_fine`` has them. Seconds are those of all good images' features and of choosing the
bank.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from callbacks.statistics.intervals import image_intervals
from datamodules.samples.batch import collate
from datamodules.table import CALIBRATION, DEFECTIVE, GOOD, TEST, TRAIN
from models.components.copies import COPIES
from models.components.patchcore_model import TOP
from models.components.standardising import IMAGES, spread_evenly, standardise
from models.features.joined_backbone import JoinedBackbone
from models.patchcore import PatchCore
from tools.configuring.build import build
from tools.configuring.config import compose_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datamodules.base import InspectionDataModule
    from datamodules.samples.batch import InspectionBatch

REAL = {
    "screw": ("benchmark/screw", "data=folder"),
    "fiber": ("fiber", "data=fiber"),
    "print3d": ("print3d", "data=print3d"),
    "spindle": ("oring/spindle", "data=oring"),
}
DRAWN = ("fiber", "oring", "print3d", "metallography", "meta_atom")
FINE: dict[str, Any] = {"scales": [2]}
BOTH = FINE | {"backbone": "[loupe,efficientnet_lite2] networks.efficientnet_lite2.mirrored=true"}
PART = {"foreground": "plain"}
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "copies": {copies: {"copies": copies} for copies in COPIES},
    "sizes": {"256": {}, "512": FINE},
    "settings": {
        "256": {},
        "512": FINE,
        "512, turns": FINE | {"copies": "turns"},
        "512, lite0": FINE | {"backbone": "efficientnet_lite0"},
        "512, loupe and lite0": FINE | {"backbone": "[loupe,efficientnet_lite0]"},
        "512, loupe and lite0, turns": FINE | {"backbone": "[loupe,efficientnet_lite0]", "copies": "turns"},
    },
    "eyes": {
        "512, loupe": FINE,
        "512, loupe in mirrors": FINE | {"backbone": "loupe mirrored=true"},
        "512, lite2": FINE | {"backbone": "efficientnet_lite2"},
        "512, lite2 in mirrors": FINE | {"backbone": "efficientnet_lite2 mirrored=true"},
        "512, loupe and lite2 in mirrors": BOTH,
        "512, loupe, the part": FINE | PART,
        "512, loupe and lite2 in mirrors, the part": BOTH | PART,
    },
}
AT_ONCE = 8
MOST = 300  # images that are scored


class Cell(NamedTuple):
    """What one seed says of one way to learn.

    Attributes:
        auroc: By score.
        seconds: Of learning.
    """

    auroc: dict[str, float]
    seconds: float


def data_of(name: str, folder: Path, seed: int, *more: str, drawing_seed: int = 77) -> InspectionDataModule:
    """Split a data set by a seed; ``more`` are keys of ``data``. One that is drawn is so by a seed of its own."""
    if name in REAL:
        place, choice = REAL[name]
        keys = [choice, f"data.root={folder / place}"]
    else:
        keys = ["data=synthetic", f"data.domain={name.removeprefix('drawn_')}", f"data.drawing_seed={drawing_seed}"]
    fixed = [f"seed={seed}", "data.image_size=[256,256]", "data.num_workers=0"]
    config = compose_config("train", [*keys, *fixed, *more])
    datamodule: InspectionDataModule = build(config.data, "data")
    datamodule.setup()
    return datamodule


def batches(datamodule: InspectionDataModule, splits: Sequence[str], most: int) -> Iterator[InspectionBatch]:
    """Read images of splits whose label is known, some evenly apart where there are more."""
    table = datamodule.samples
    known = table["label_index"].isin([GOOD] if splits == [TRAIN] else [GOOD, DEFECTIVE])
    dataset = datamodule.dataset(table[table["split"].isin(splits) & known])
    places = spread_evenly(len(dataset), most)
    for first in range(0, len(places), AT_ONCE):
        yield collate([dataset[place] for place in places[first : first + AT_ONCE]])


@torch.inference_mode()
def measure(datamodule: InspectionDataModule, settings: dict[str, Any], seed: int, given: argparse.Namespace) -> Cell:
    """Learn good images, by these settings of PatchCore and this network; score all others both ways."""
    torch.manual_seed(seed)
    others = {key: settings[key] for key in settings if key not in {"backbone", *PART}}
    network, *options = settings.get("backbone", "loupe").split()
    keys = [f"backbone={network}", *(f"backbone.{option}" for option in options)]
    backbone: Any = compose_config("train", keys).backbone
    module = PatchCore(backbone, bank_size=given.bank, score="top_mean", **others).eval()
    if datamodule.reading.foreground is not None:
        module.use_foreground()
    if isinstance(module.model.backbone, JoinedBackbone):
        shown = ((batch.image, batch.inside) for batch in batches(datamodule, [TRAIN], IMAGES))
        standardise(module.model.backbone, shown)
    started = time.perf_counter()
    for batch in batches(datamodule, [TRAIN], given.train):
        module.collect(module.images_of(batch))
    module.fit()
    seconds = time.perf_counter() - started
    scores: dict[str, list[float]] = {"max": [], "top_mean": []}
    labels: list[int] = []
    for batch in batches(datamodule, [CALIBRATION, TEST], MOST):
        found = module.model.match(module.images_of(batch))
        worst = found._replace(
            distance_BSQ=found.distance_BSQ[..., :1],
            index_BSQ=found.index_BSQ[..., :1],
            worst_BSQD=found.worst_BSQD[..., :1, :],
        )
        scores["max"] += module.model.score(worst).tolist()
        scores["top_mean"] += module.model.score(found).tolist()
        labels += (batch.label_index == DEFECTIVE).int().tolist()
    groups = np.arange(len(labels))
    return Cell(
        {name: image_intervals(values, np.array(labels), groups)["auroc"].value for name, values in scores.items()},
        seconds,
    )


def row(name: str, given: argparse.Namespace) -> str:
    """Measure a data set over all seeds; return its row of the table."""
    ways = {way: SETTINGS[given.by][way] for way in given.ways}
    cells: dict[str, list[Cell]] = {way: [] for way in ways}
    kept = given.results.read_text(encoding="utf-8").splitlines() if given.results and given.results.exists() else []
    known = {tuple(key): Cell(**cell) for key, cell in map(json.loads, kept)}
    for seed in range(given.seeds):
        datamodules = {
            ground: data_of(name, given.data, seed, f"data.foreground={ground}", drawing_seed=given.drawing_seed)
            for ground in {way.get("foreground", "null") for way in ways.values()}
        }
        for way, found in cells.items():
            key = (name, given.by, way, seed, given.train, given.bank, given.drawing_seed)
            if key not in known:
                datamodule = datamodules[ways[way].get("foreground", "null")]
                known[key] = measure(datamodule, ways[way], seed, given)
                if given.results:
                    with given.results.open("a", encoding="utf-8") as file:
                        print(json.dumps((key, known[key]._asdict())), file=file)
            found.append(known[key])
    texts = [name]
    for found in cells.values():
        for score in ("max", "top_mean"):
            values = [cell.auroc[score] for cell in found]
            texts.append(f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        texts.append(f"{np.mean([cell.seconds for cell in found]):.0f}")
    return f"| {' | '.join(texts)} |"


def main() -> None:
    """Read the command line and print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(), help="folder with the data sets")
    parser.add_argument("--sets", nargs="+", default=None, help="names of data sets; all that are there")
    parser.add_argument("--ways", nargs="+", help="columns of the table; all that differ so")
    parser.add_argument("--by", choices=list(SETTINGS), default="copies", help="what differs between the columns")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=60, help="good images that are learnt")
    parser.add_argument("--bank", type=int, default=2000, help="patches in the bank")
    parser.add_argument("--drawing-seed", type=int, default=77, help="of drawn sets; another to choose by")
    parser.add_argument("--results", type=Path, help="a file of what is complete")
    given = parser.parse_args()
    there = [name for name, (place, _) in REAL.items() if (given.data / place).is_dir()]
    given.ways = given.ways or list(SETTINGS[given.by])
    header = [f"{way}, {score}" for way in given.ways for score in ("max", f"mean of {TOP}", "s")]
    print(f"| data set | {' | '.join(header)} |\n|{'---|' * (len(header) + 1)}", flush=True)
    for name in given.sets or [*there, *(f"drawn_{domain}" for domain in DRAWN)]:
        print(row(name, given), flush=True)


if __name__ == "__main__":
    main()
