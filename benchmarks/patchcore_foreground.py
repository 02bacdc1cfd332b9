"""What it brings to leave the ground about parts out of PatchCore's bank and scores: image AUROC by data set.

    python -m benchmarks.patchcore_foreground --data FOLDER [--sets screw fiber ...] [--seeds 2] [--train 40]

Sets, images, features and seeds are those of ``benchmarks.patchcore_scores``, and so are images that are turned, where
copies help. Beside the AUROC stand the share of the patches that count, and of the images on which a part was found.
Of fibers, zones 1 and 2 (core and cladding) are the part, too: those drawn, or found.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from callbacks.statistics.intervals import image_intervals
from datamodules.table import CALIBRATION, DEFECTIVE, TEST, TRAIN
from models.patchcore import PatchCore
from tools.configuring.config import compose_config

from .patchcore_scores import MOST, batches, data_of

if TYPE_CHECKING:
    from datamodules.base import InspectionDataModule

SETS = ("screw", "fiber", "drawn_oring", "drawn_fiber")
WAYS = {
    "all": (),
    "plain": ("data.foreground=plain",),
    "solid": ("data.foreground=solid",),
    "zones": ("data.foreground=[1,2]",),
}
COPIES = ("none", "turns")


class Cell(NamedTuple):
    """What one seed says of one way.

    Attributes:
        auroc: Of images.
        share: Of patches that count, among those of images that are scored.
        found: Share of the images that are scored on which a part was found.
    """

    auroc: float
    share: float
    found: float


@torch.inference_mode()
def measure(datamodule: InspectionDataModule, copies: Any, seed: int, given: argparse.Namespace) -> Cell:
    """Learn good images; score all others."""
    torch.manual_seed(seed)
    backbone: Any = compose_config("train", []).backbone
    module = PatchCore(backbone, bank_size=given.bank, copies=copies).eval()
    if datamodule.reading.foreground is not None:
        module.use_foreground()
    for batch in batches(datamodule, [TRAIN], given.train):
        module.collect(module.images_of(batch))
    module.fit()
    scores: list[float] = []
    labels: list[int] = []
    shares: list[float] = []
    for batch in batches(datamodule, [CALIBRATION, TEST], MOST):
        found, _ = module.predict(module.images_of(batch))
        scores += np.asarray(found.pred_score).tolist()
        labels += (batch.label_index == DEFECTIVE).int().tolist()
        inside = batch.inside
        shares += [1.0] * len(batch) if inside is None else inside.float().mean(dim=(1, 2)).tolist()
    auroc = image_intervals(scores, np.array(labels), np.arange(len(labels)))["auroc"].value
    return Cell(auroc, float(np.mean(shares)), float(np.mean(np.array(shares) < 1)))


def row(name: str, way: str, given: argparse.Namespace) -> str:
    """Measure a way over all seeds; return its row of the table."""
    zones = ["data.zones=find"] if name == "fiber" and way == "zones" else []
    datamodules = [data_of(name, given.data, seed, *WAYS[way], *zones) for seed in range(given.seeds)]
    texts = [name, way]
    for copies in COPIES:
        cells = [measure(datamodule, copies, seed, given) for seed, datamodule in enumerate(datamodules)]
        values = [cell.auroc for cell in cells]
        texts.append(f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
    texts += [f"{np.mean([cell.share for cell in cells]):.2f}", f"{np.mean([cell.found for cell in cells]):.2f}"]
    return f"| {' | '.join(texts)} |"


def main() -> None:
    """Read the command line and print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(), help="folder with the data sets")
    parser.add_argument("--sets", nargs="+", default=SETS, help="names of data sets")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--train", type=int, default=40, help="good images that are learnt")
    parser.add_argument("--bank", type=int, default=1500, help="patches in the bank")
    given = parser.parse_args()
    header = ["data set", "foreground", *COPIES, "share of pixels that count", "share of images with a part found"]
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}", flush=True)
    for name in given.sets:
        for way in WAYS:
            if way != "zones" or name.endswith("fiber"):
                print(row(name, way, given), flush=True)


if __name__ == "__main__":
    main()
