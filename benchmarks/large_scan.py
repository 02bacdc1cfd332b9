"""What one large scan costs from its pixels to inclusions and grain sizes, in memory and in time.

python -m benchmarks.large_scan [SIDE] [--networks INCLUSIONS BOUNDARIES]

A square scan is drawn of grains with dark boundaries and darker inclusions: one drawn square of 1,000 pixels, mirrored
until the scan is full, with noise of its own everywhere. Without trained runs, thresholds of grey stand for both
networks, so that what is measured is the chain around them. Each row says what a step took, and the most memory that
the process had held when it ended.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from scipy.spatial import cKDTree
from torch.nn import functional as F

from callbacks.grains.closing import grains_of_logits
from callbacks.grains.measures import grain_facts
from callbacks.inclusions.measures import measure_map
from datamodules.files.object_table import object_table
from datamodules.files.objects import object_labels
from models.components.micrograph import Stage, analyse
from tools.lines.metallography import stage_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from models.components.inpainting import Image

T = TypeVar("T")

SIDE = 10_000
SQUARE = 1_000
GRAIN = 25  # pixels across, as in real scans
INCLUSIONS = 500  # per square
MB = 1024  # kilobytes
GREY, LINE, DARK = 170, 100, 30  # of grains, boundaries and inclusions


def drawn_square(seed: int = 0) -> Image:
    """Draw a square (S, S, 3) of grains and inclusions."""
    rng = np.random.default_rng(seed)
    heart = rng.uniform(0, SQUARE, (SQUARE**2 // GRAIN**2, 2))
    row, column = np.mgrid[:SQUARE, :SQUARE]
    away = np.asarray(cKDTree(heart).query(np.stack([row, column], axis=-1), k=2)[0])
    grey = np.where(away[..., 1] - away[..., 0] < 2.5, LINE, GREY).astype(np.uint8)
    for _ in range(INCLUSIONS):
        place = int(rng.integers(SQUARE)), int(rng.integers(SQUARE))
        half = int(rng.integers(2, 7)), int(rng.integers(2, 5))
        cv2.ellipse(grey, place, half, float(rng.integers(180)), 0, 360, DARK, -1)
    return np.repeat(cv2.GaussianBlur(grey, (0, 0), 0.8)[..., None], 3, axis=2)


def drawn_scan(side: int) -> Image:
    """Fill a scan with a drawn square, mirrored, and noise."""
    square = drawn_square()
    pair = np.concatenate([square, square[:, ::-1]], axis=1)
    block = np.concatenate([pair, pair[::-1]], axis=0)
    times = -(-side // (2 * SQUARE))
    scan = np.tile(block, (times, times, 1))[:side, :side].copy()
    rng = np.random.default_rng(1)
    for row in range(side):
        scan[row] += rng.integers(0, 16, (side, 1), np.uint8)
    return scan


def darker_than(grey: float) -> Callable[[Tensor], Tensor]:
    """Return a network of no cost: how much darker than a grey the mean of 3 x 3 pixels is."""
    return lambda image_K3SS: grey / 255 - F.avg_pool2d(image_K3SS[:, :1], 3, 1, 1)[:, 0]


def main() -> None:
    """Print a row per step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", nargs="?", type=int, default=SIDE)
    parser.add_argument("--networks", nargs=2, metavar="RUN", help="that mark inclusions, and boundaries")
    given = parser.parse_args()
    if given.networks:
        inclusions, boundaries = (stage_of(run, "RUN") for run in given.networks)
    else:
        inclusions, boundaries = Stage(darker_than((DARK + LINE) / 2), 0.0), Stage(darker_than((LINE + GREY) / 2), 0.0)
    print("| step | seconds | CPU seconds | MB at most |\n|---|---|---|---|")

    def step(name: str, work: Callable[[], T]) -> T:
        start, busy = time.perf_counter(), time.process_time()
        made = work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB
        seconds = time.perf_counter() - start, time.process_time() - busy
        print(f"| {name} | {seconds[0]:.1f} | {seconds[1]:.1f} | {peak:,.0f} |", flush=True)
        return made

    scan = step("drawing", lambda: drawn_scan(given.side))
    chain = step("both networks, painting over", lambda: analyse(scan, inclusions, boundaries))
    label_HW = step("inclusions", lambda: object_labels(chain.inclusion_HW))
    table = step("table", lambda: object_table(label_HW))
    measured = step("measures and areas", lambda: measure_map(table))
    grain_HW = step("closing grains", lambda: grains_of_logits(chain.boundary_logit_HW))
    facts = step("measuring grains", lambda: grain_facts(grain_HW, chain.boundary_HW))
    print(
        f"\n{given.side} x {given.side} pixels, {scan.nbytes / MB**2:,.0f} MB: {len(measured.table):,} inclusions, "
        f"{len(measured.areas)} areas, {facts['grains_inside']:,} grains, mean intercept "
        f"{facts['mean_intercept_px']:.2f} px"
    )


if __name__ == "__main__":
    main()
