"""Many instances on a large image: what laying, joining and encoding them takes, in seconds and memory.

python -m benchmarks.joined_instances [--count 2000] [--height 2048] [--width 2448] [--tile 640] [--largest 40]

Draws the detections of tiles as Mask R-CNN's heads give them (boxes, and masks of 28 x 28 in them), without a network:
all that is measured is above the network's own. Memory is what the process takes at its highest above what it took
before, from /proc (Linux).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from callbacks.measures.coco import Instances
from datamodules.outlines.classes import PART
from models.components.joining import merge_tiles
from models.components.laying import lay
from models.components.tiled import Tiling

if TYPE_CHECKING:
    from datamodules.samples.detections import Detections

Found = dict[str, np.ndarray]


def draw(
    generator: np.random.Generator, count: int, size: tuple[int, int], largest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw centres (count, 2) and radii (count, 1) of round defects, from 3 pixels on."""
    centre = generator.uniform(0, size, (count, 2))
    return centre, np.exp(generator.uniform(np.log(3), np.log(largest), (count, 1)))


def seen_by(centre: np.ndarray, radius: np.ndarray, place: tuple[int, int], side: int) -> Found:
    """Return what a perfect network gives for a tile: a box around what it sees of each defect, and its mask there."""
    low = np.maximum(centre - radius - place, 0)
    high = np.minimum(centre + radius - place, side)
    there = (high - low > 1).all(axis=1)
    cells = (np.arange(28) + 0.5) / 28
    masks = []
    for one, first, last, reach in zip(centre[there] - place, low[there], high[there], radius[there], strict=True):
        y, x = (first[axis] + cells * (last[axis] - first[axis]) - one[axis] for axis in (0, 1))
        masks.append(np.clip(reach - np.hypot(y[:, None], x[None]) + 0.5, 0, 1))
    boxes = np.concatenate([low[there][:, ::-1], high[there][:, ::-1]], axis=1)
    return {
        "boxes": boxes.astype(np.float32),
        "labels": np.ones(len(boxes), np.int64),
        "scores": np.linspace(0.9, 0.1, len(boxes), dtype=np.float32),
        "masks": np.asarray(masks, np.float32).reshape(-1, 28, 28),
    }


def memory() -> tuple[float, float]:
    """Return resident memory and its peak, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return tuple(int(fields[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))  # type: ignore[return-value]  # two


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name, value in (
        ("count", 2000),
        ("height", 2048),
        ("width", 2448),
        ("tile", 640),
        ("largest", 40),
        ("seed", 0),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    size = (options.height, options.width)
    tiling = Tiling(size=options.tile)
    places = [(top, left) for top in tiling.axis(size[0]).starts for left in tiling.axis(size[1]).starts]
    share = 1.0
    while True:  # as many defects as give the candidates that were asked for
        centre, radius = draw(
            np.random.default_rng(options.seed), max(1, int(share * options.count)), size, options.largest
        )
        found = [seen_by(centre, radius, place, options.tile) for place in places]
        candidates = sum(len(one["boxes"]) for one in found)
        if candidates <= options.count or share < 0.01:
            break
        share *= 0.97 * options.count / candidates
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak counts from here
    before = memory()[0]
    clock = time.perf_counter()
    laid: list[Detections] = [lay(one, (options.tile, options.tile), 0.5, PART)[1] for one in found]
    laid_at = time.perf_counter()
    joined = merge_tiles(laid, places, size)
    joined_at = time.perf_counter()
    Instances().add(empty_target(size), joined, "")
    done = time.perf_counter()
    print(f"{candidates} candidates on {len(places)} tiles of {size[1]} x {size[0]}: {len(joined)} instances")
    print(f"laying {laid_at - clock:.2f} s, joining {joined_at - laid_at:.2f} s, run lengths {done - joined_at:.2f} s")
    print(f"memory at most {memory()[1] - before:.0f} MB above {before:.0f} MB before")


def empty_target(size: tuple[int, int]) -> dict[str, torch.Tensor]:
    """Return the target of a good image."""
    masks = torch.zeros(0, *size, dtype=torch.uint8)
    return {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64), "masks": masks}


if __name__ == "__main__":
    main()
