"""How long one metallographic scan takes through the whole chain, once both networks are loaded.

python -m benchmarks.scan_chain INCLUSIONS BOUNDARIES SCAN... [--threads 2]

``in all`` goes from the file to everything that ``loupe predict line=metallography`` writes of one scan: tables, images
and pages. What stands before it are its longest steps, measured apart. Each figure is the
median of three rounds after one that is not counted.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

from callbacks.grains.closing import grains_of_logits
from models.components.inpainting import inpaint
from models.components.micrograph import scan_logits
from tools.lines.inclusions import Ordered, write_pages, write_tables
from tools.lines.metallography import MetallographyLine, Stages, read_scan, stage_of

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

ROUNDS = 3


class Clock:
    """Collects seconds by the name of a step."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        """Do some work and keep how long it took."""
        start = time.perf_counter()
        made = work()
        self.seconds.setdefault(name, []).append(time.perf_counter() - start)
        return made

    def medians(self) -> dict[str, float]:
        """Return the median of every step, without its first round."""
        return {name: statistics.median(rounds[1:]) for name, rounds in self.seconds.items()}


def measure(line: MetallographyLine, stages: Stages, path: Path, out: Path) -> tuple[dict[str, float], str]:
    """Time the chain on a scan; return seconds by step, and the sides of the scan."""
    clock, image_HW3 = Clock(), read_scan(path)
    for _ in range(1 + ROUNDS):
        inclusion_HW = clock("inclusions, network", partial(scan_logits, image_HW3, stages.inclusions))
        hole_HW = inclusion_HW >= stages.inclusions.threshold
        painted_HW3 = clock("painting over", partial(inpaint, image_HW3, hole_HW))
        boundary_HW = clock("boundaries, network", partial(scan_logits, painted_HW3, stages.boundaries))
        clock("closing grains", partial(grains_of_logits, boundary_HW))
        clock("in all", partial(whole, line, stages, path, out))
    return clock.medians(), f"{image_HW3.shape[1]} x {image_HW3.shape[0]}"


def whole(line: MetallographyLine, stages: Stages, path: Path, out: Path) -> None:
    """Do all that the line does for one scan."""
    scan, _ = line.measure(path.stem, read_scan(path), stages, out, page=True)
    ordered = Ordered([scan])
    write_tables(out, [scan], ordered, None)
    write_pages(out, [scan], ordered, [], "benchmarks.scan_chain", "scan", None)


def main() -> None:
    """Print a row per scan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inclusions", help="run that marks inclusions")
    parser.add_argument("boundaries", help="run that marks grain boundaries")
    parser.add_argument("scans", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    line = MetallographyLine(inclusions=given.inclusions, boundaries=given.boundaries)
    stages = Stages(stage_of(line.inclusions, "inclusions"), stage_of(line.boundaries, "boundaries"), None)
    for index, path in enumerate(given.scans):
        with tempfile.TemporaryDirectory() as out:
            seconds, sides = measure(line, stages, path, Path(out))
        if index == 0:
            print("| scan | pixels | " + " | ".join(f"{name}, s" for name in seconds) + " |")
            print("|" + "---|" * (len(seconds) + 2))
        cells = " | ".join(f"{value:.2f}" for value in seconds.values())
        print(f"| {path.stem} | {sides} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
