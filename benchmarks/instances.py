"""Instances on real images: Mask R-CNN on outlined rings, and beside models that only make maps on outlined pits.

python -m benchmarks.instances --weights MOBILENETV2 [--rings FOLDER] [--spindle FOLDER] [--out FOLDER] [--epochs N]

Both folders in the layout that docs/oring.md describes (labelme). Every run is a ``loupe train`` command, which is
printed first; the table shows average precision on test images of which no part was trained on.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from tools.configuring.config import compose_config
from tools.runs.training import train

if TYPE_CHECKING:
    from pathlib import Path

EVERYWHERE = ("data=oring", "data.batch_size=4", "callbacks.evaluation.atlas=0")
RINGS = ("experiment=oring_rings",)  # every outlined ring is an instance to find
SPINDLE = ("data.image_size=[128,320]",)  # pits are 70 of 1130 pixels wide: 20 of these
FLIPS = (
    "data.augment=[{_target_:torchvision.transforms.v2.RandomHorizontalFlip},"
    "{_target_:torchvision.transforms.v2.RandomVerticalFlip}]"
)
ON_PITS = 8  # epochs
MASK_RCNN = ("model=mask_rcnn", "model.lr=0.01", FLIPS)


def runs(rings: str | None, spindle: str | None, weights: str | None, epochs: int | None) -> dict[str, tuple[str, ...]]:
    """List what to run: a name, and its overrides; without ``epochs``, rings have those of their experiment."""
    pretrained = ("backbone=mobilenetv2", f"backbone.weights={weights}")
    steps = _steps(epochs or ON_PITS)
    chosen: dict[str, tuple[str, ...]] = {}
    if rings:
        on_rings = (*RINGS, f"data.root={rings}", *(_steps(epochs) if epochs else ()))
        chosen["rings: Mask R-CNN, LoupeNet"] = on_rings
        if weights:
            chosen["rings: Mask R-CNN, MobileNetV2"] = (*on_rings, *pretrained)
    if spindle:
        on_spindle = (f"data.root={spindle}", *SPINDLE)
        chosen["spindle: Mask R-CNN, LoupeNet"] = (*on_spindle, *MASK_RCNN, *steps)
        if weights:
            chosen["spindle: Mask R-CNN, MobileNetV2"] = (*on_spindle, *MASK_RCNN, *steps, *pretrained)
        chosen["spindle: U-Net"] = (*on_spindle, "model=unet", FLIPS, f"trainer.max_epochs={epochs or ON_PITS}")
        chosen["spindle: PatchCore"] = (*on_spindle, "model=patchcore", "model.coreset_ratio=0.02")
    return chosen


def _steps(epochs: int) -> tuple[str, str]:
    """Say how long to learn: the rate falls after three quarters."""
    return f"trainer.max_epochs={epochs}", f"model.lr_step={max(1, 3 * epochs // 4)}"


def row(name: str, folder: Path) -> str:
    """Turn the numbers of a run into a line of the table."""
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    seconds = json.loads((folder / "environment.json").read_text(encoding="utf-8"))["seconds_of_training"]
    box, mask = metrics["instances"]["box"], metrics["instances"]["mask"]
    found = (box["ap"], box["ap50"], mask["ap"], mask["ap50"], metrics["test"]["image_auroc"])
    return f"| {name} | {' | '.join(map(cell, found))} | {seconds:.0f} |"


def cell(estimate: dict[str, float | None]) -> str:
    """Write an estimate with its interval; rings have no good images, and hence no AUROC."""
    if estimate["value"] is None:
        return "-"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


def main() -> None:
    """Run everything that there are images for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rings", help="folder with outlined rings")
    parser.add_argument("--spindle", help="folder with outlined pits, and labels.csv with locations")
    parser.add_argument("--weights", help="file with MobileNetV2's weights of ImageNet")
    parser.add_argument("--out", default="runs", help="where runs are kept")
    parser.add_argument("--epochs", type=int, help="of Mask R-CNN and U-Net; else 24 on rings, 8 on pits")
    options = parser.parse_args()
    header = ("run", "box AP", "box AP50", "mask AP", "mask AP50", "AUROC of pictures", "training, s")
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for name, overrides in runs(options.rings, options.spindle, options.weights, options.epochs).items():
        command = [*EVERYWHERE, *overrides, f"out={options.out}", f"data.cache={options.out}/cache"]
        print("loupe train", *command)
        folder = train(compose_config("train", command)).path
        lines.append(row(name, folder))
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
