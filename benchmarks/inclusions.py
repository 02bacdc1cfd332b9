"""What measuring inclusions costs, by their number and the size of the map.

python -m benchmarks.inclusions [COUNT ...]

Maps are drawn with ellipses of the sizes that real ones have (lognormal, median 12 pixels across), at the density of
5,000 in 2700x3600 pixels. Each row runs in a process of its own, so that its peak of memory is its own; the figure
beside it is what the process held before. Seconds are the best of three.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import cv2
import numpy as np

from callbacks.inclusions.gaps import boxes_of
from callbacks.inclusions.measures import measure_map
from callbacks.inclusions.spatial import raw_spatial
from datamodules.files.object_table import object_table
from datamodules.files.objects import object_labels

if TYPE_CHECKING:
    import numpy.typing as npt

COUNTS = (500, 1_000, 5_000, 10_000, 50_000)
PIXELS_EACH = 2700 * 3600 / 5000
MB = 1024  # kilobytes
ROUNDS = 3


def drawn_map(count: int, seed: int = 0, shape: tuple[int, int] | None = None) -> npt.NDArray[np.uint8]:
    """Draw a map of inclusions, black on white; a few of them touch and become one."""
    rng = np.random.default_rng(seed)
    height, width = shape or (round((count * PIXELS_EACH * 0.75) ** 0.5), round((count * PIXELS_EACH / 0.75) ** 0.5))
    map_HW = np.full((height, width), 255, np.uint8)
    for _ in range(count):
        place = int(rng.integers(8, width - 8)), int(rng.integers(8, height - 8))
        half = np.maximum(rng.lognormal(np.log(6), 0.45) * np.array([1.0, rng.uniform(0.4, 1.0)]), 1.5)
        cv2.ellipse(map_HW, place, (int(half[0]), int(half[1])), float(rng.uniform(0, 180)), 0, 360, 0, -1)
    return map_HW


def measure(count: int) -> dict[str, float]:
    """Time every step on one map."""
    map_HW = drawn_map(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB
    best = {"extraction": np.inf, "table": np.inf, "of which spatial": np.inf, "measures and areas": np.inf}
    found = 0
    for _ in range(ROUNDS):
        start = time.perf_counter()
        label_HW = object_labels(map_HW)
        labelled = time.perf_counter()
        table = object_table(label_HW)
        tabled = time.perf_counter()
        found = len(measure_map(table).table)
        measured = time.perf_counter()
        raw_spatial(boxes_of(table), table["area"].to_numpy(np.float64))
        spatial = time.perf_counter()
        parts = (labelled - start, tabled - labelled, spatial - measured, measured - tabled)
        best = {name: min(value, part) for (name, value), part in zip(best.items(), parts, strict=True)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB
    height, width = map_HW.shape
    sizes = {"inclusions": found, "height": height, "width": width}
    whole = best["extraction"] + best["table"] + best["measures and areas"]
    return sizes | best | {"in all": whole, "MB before": before, "MB at most": peak}


def main() -> None:
    """Print a row per number of inclusions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="*", type=int, default=list(COUNTS))
    parser.add_argument("--one", action="store_true", help="measure here, and print what was measured as JSON")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.counts[0])))
        return
    for index, count in enumerate(given.counts):
        command = [sys.executable, "-m", "benchmarks.inclusions", str(count), "--one"]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603 - own
        if index == 0:
            print("| drawn | " + " | ".join(row) + " |\n|" + "---|" * (len(row) + 1))
        print(
            f"| {count:,} | "
            + " | ".join(f"{value:,.3g}" if value < 100 else f"{value:,.0f}" for value in row.values())
            + " |"
        )


if __name__ == "__main__":
    main()
