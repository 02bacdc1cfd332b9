"""Pixel metrics: time, memory and values of the streamed histogram beside anomalib's, which keep every pixel.

    python -m benchmarks.pixel_metrics              400 maps of 256x256
    python -m benchmarks.pixel_metrics --large      2,000 maps: anomalib takes several gigabytes
    python -m benchmarks.pixel_metrics --pictures 100 --side 512

Each row runs in a process of its own, on the same maps, so that its peak is its own. Time is spent in update and
compute only. Memory is the peak of the process above its peak after the imports and one batch. Maps lie in [0, 1],
since anomalib puts others through a sigmoid before it ranks them. Linux and macOS.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH = 32
SIDES = ("loupe", "loupe with intervals", "auroc", "average_precision", "best_f1", "aupro")


def batches(pictures: int, side: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Smooth maps with noise, and on every fourth image two regions that score higher; the same on every call."""
    generator = torch.Generator().manual_seed(0)
    for start in range(0, pictures, BATCH):
        number = min(BATCH, pictures - start)
        smooth = torch.randn(number, 1, side // 16, side // 16, generator=generator)
        maps = interpolate(smooth, size=(side, side), mode="bilinear")[:, 0]
        maps += torch.randn(maps.shape, generator=generator) / 2
        masks = torch.zeros(maps.shape, dtype=torch.bool)
        for n in range(0, number, 4):
            for extent in (side // 20, side // 6):
                row, column = (int(torch.randint(side - extent, (), generator=generator)) for _ in range(2))
                masks[n, row : row + extent, column : column + extent] = True
        yield (maps + 2 * masks - 2).sigmoid(), masks


class Loupe:
    """All metrics from one histogram; with intervals, from 1,000 resamples of the images."""

    def __init__(self, *, intervals: bool) -> None:
        from callbacks.statistics.histogram import PixelHistogram  # noqa: PLC0415 - each side pays for its own imports

        self.histogram, self.intervals, self.seen = PixelHistogram(), intervals, 0

    def update(self, maps: Tensor, masks: Tensor) -> None:
        """Adds a batch."""
        names = [f"{self.seen + n:06}" for n in range(len(maps))]
        self.histogram.update(maps, masks, names if self.intervals else None)
        self.seen += len(maps)

    def compute(self) -> dict[str, float]:
        """Values by name."""
        from callbacks.statistics.pixels import pixel_intervals, pixel_metrics  # noqa: PLC0415 - as above

        if self.intervals:
            return {name: estimate.value for name, estimate in pixel_intervals(self.histogram).items()}
        values = pixel_metrics(self.histogram.counts(), self.histogram.overlaps())
        return {name: float(value) for name, value in values.items()}


class Anomalib:
    """One of anomalib's metrics."""

    def __init__(self, name: str) -> None:
        from anomalib.metrics.aupr import _AUPR  # noqa: PLC0415 - as above
        from anomalib.metrics.aupro import _AUPRO  # noqa: PLC0415 - as above
        from anomalib.metrics.auroc import _AUROC  # noqa: PLC0415 - as above
        from anomalib.metrics.f1_score import _F1Max  # noqa: PLC0415 - as above

        metrics: dict[str, Callable[[], Any]] = {
            "auroc": _AUROC,
            "average_precision": _AUPR,
            "best_f1": _F1Max,
            "aupro": _AUPRO,
        }
        self.name, self.metric = name, metrics[name]()

    def update(self, maps: Tensor, masks: Tensor) -> None:
        """Adds a batch."""
        self.metric.update(maps, masks.int() if self.name == "aupro" else masks)

    def compute(self) -> dict[str, float]:
        """The value by name."""
        return {self.name: float(self.metric.compute())}


def side_of(name: str) -> Loupe | Anomalib:
    """A fresh side by its name in `SIDES`."""
    return Loupe(intervals="intervals" in name) if name.startswith("loupe") else Anomalib(name)


def peak_bytes() -> int:
    """The most memory this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure(name: str, pictures: int, side: int) -> dict[str, Any]:
    """Runs one side in this process."""
    warm = side_of(name)
    warm.update(*next(batches(BATCH, side)))
    warm.compute()
    del warm
    before, seconds = peak_bytes(), 0.0
    measured = side_of(name)
    for maps, masks in batches(pictures, side):
        start = time.perf_counter()
        measured.update(maps, masks)
        seconds += time.perf_counter() - start
    start = time.perf_counter()
    values = measured.compute()
    seconds += time.perf_counter() - start
    return {"seconds": seconds, "bytes": peak_bytes() - before, "values": values}


def run(name: str, pictures: int, side: int) -> dict[str, Any]:
    """Runs one side in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.pixel_metrics", "--pictures", str(pictures), "--side", str(side)]
    output = subprocess.run([*command, "--only", name], check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 - our own command
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def compare(pictures: int, side: int) -> None:
    """Prints a row for each side, and how far the values are apart."""
    print(f"{pictures} maps of {side}x{side}, {pictures * side**2 / 1e6:.0f} million pixels, CPU")
    print(f"{'':26}{'seconds':>9}{'added MiB':>11}   values")
    ours: dict[str, float] = {}
    for name in SIDES:
        result = run(name, pictures, side)
        label = name if name.startswith("loupe") else f"anomalib {name}"
        values = "  ".join(f"{key} {value:.6f}" for key, value in result["values"].items())
        print(f"{label:26}{result['seconds']:9.2f}{result['bytes'] / 2**20:11.0f}   {values}", flush=True)
        if name == "loupe":
            ours = result["values"]
        elif not name.startswith("loupe"):
            print(f"{'':26}{'':20}   differs from loupe by {abs(result['values'][name] - ours[name]):.1e}")


def main() -> None:
    """Reads the arguments and compares, or measures one side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--large", action="store_true", help="2,000 pictures")
    parser.add_argument("--only", choices=SIDES, help="measure one side in this process and print JSON")
    args = parser.parse_args()
    pictures = 2000 if args.large else args.pictures
    if args.only:
        print(json.dumps(measure(args.only, pictures, args.side)))
    else:
        compare(pictures, args.side)


if __name__ == "__main__":
    main()
