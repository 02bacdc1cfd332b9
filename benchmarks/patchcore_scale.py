"""What PatchCore's memory, time and AUROC do as images become many, with a bank of 20,000 patches within 4 GiB.

    python -m benchmarks.patchcore_scale [--images 1000 5000] [--memory 4GiB] [--bank 20000] [--exact] [--results FILE]
                                         [--plot FILE.svg]

Images of 256x256 are drawn fiber end faces; above --drawn of them, the drawn ones come again with noise. Each size runs
in a process of its own, whose largest resident memory is measured, features and all. AUROC is that of 100 good and 100
defective images that were drawn apart. --exact runs each size once more with memory for all patches, the same set as
plain greedy, and prints the difference of the AUROCs with a paired 95 % interval over resampled images.

Seconds are of the processor over all threads (cpu_s) and on the wall; on a busy machine the former, over two, say what
two idle cores would take at least. Each size tells on stderr how far it is; what is complete goes to a file, one JSON
object a line, and is not run again. --plot draws time and memory over images, as they come and with the choice.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.figure import Figure

from callbacks.statistics.curves import count_scores, roc_auc
from datamodules.samples.batch import Sample, collate
from datamodules.synthetic.domains import defective_image, good_image
from datamodules.synthetic.fiber import draw
from models.components.memory import read_size
from models.patchcore import PatchCore

if TYPE_CHECKING:
    from datamodules.synthetic.domains import Order

SIDE, BATCH, TESTED, RESAMPLES = 256, 8, 100, 1000
TELL_EVERY = 1000  # images
LOUPE_NET: dict[str, Any] = {
    "name": "loupe_net",
    "layers": [2, 3],
    "mean": [0.5] * 3,
    "std": [0.5] * 3,
    "weights": "bundled",
}


def drawn(order: Order) -> torch.Tensor:
    """Draw an image (H, W), uint8."""
    return torch.from_numpy(draw(order.identity, SIDE, order.defect, order.severity).image)


def coloured(grey_BHW: torch.Tensor) -> torch.Tensor:
    """Turn drawn images into (B, 3, H, W) in [0, 1]."""
    return grey_BHW.unsqueeze(1).expand(-1, 3, -1, -1) / 255


def peak() -> float:
    """Measure the largest resident memory of this process so far, in GiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


@torch.inference_mode()
def run(images: int, memory: str, bank: int, most_drawn: int) -> dict[str, Any]:
    """Fit to so many images, and score those of the test; return what it took."""
    torch.manual_seed(0)
    module = PatchCore(LOUPE_NET, bank_size=bank, memory=memory).eval()
    module.batches = -(-images // BATCH)
    grey = torch.stack([drawn(good_image("fiber", 0, number)) for number in range(min(images, most_drawn))])
    before, started, wall = peak(), time.process_time(), time.perf_counter()
    generator = torch.Generator().manual_seed(1)
    course = []
    for first in range(0, images, BATCH):
        index = torch.arange(first, min(first + BATCH, images))
        image_B3HW = coloured(grey[index % len(grey)])
        if int(index[-1]) >= len(grey):
            image_B3HW = (image_B3HW + 0.02 * torch.randn(image_B3HW.shape, generator=generator)).clamp(0, 1)
        named = zip(index.tolist(), image_B3HW, strict=True)
        module.collect_batch(collate([Sample(image, f"{number}", f"{number}", 0) for number, image in named]))
        if (first + BATCH) % TELL_EVERY < BATCH:
            spent = [round(time.process_time() - started, 1), round(time.perf_counter() - wall, 1)]
            course.append([first + len(index), *spent, peak()])
            print(f"images, cpu_s, wall_s, peak_gib, load: {course[-1]} {os.getloadavg()}", file=sys.stderr, flush=True)
    module.fit()
    found = {
        "images": images,
        "memory": memory,
        "cpu_s": round(time.process_time() - started, 1),
        "wall_s": round(time.perf_counter() - wall, 1),
        "before_gib": before,
        "peak_gib": peak(),
        "bank": len(module.model.bank_MD),
        "load": os.getloadavg(),
        "course": course,
    }
    orders = [good_image("fiber", 1, number) for number in range(TESTED)]
    orders += [defective_image("fiber", 1, number) for number in range(TESTED)]
    scores = [float(module.model(coloured(drawn(order).unsqueeze(0))).pred_score) for order in orders]
    return found | {"auroc": round(auroc(np.array(scores)), 4), "scores": scores}


def auroc(scores: np.ndarray[Any, Any]) -> float:
    """Rank the test: good images first, as many defective ones behind."""
    labels = np.repeat([0, 1], len(scores) // 2)
    counts = count_scores(scores.tolist(), labels.tolist())
    return float(roc_auc(counts.negative, counts.positive))


def difference(scores: list[float], others: list[float]) -> str:
    """Say how two AUROCs differ, with an interval over images that are drawn again for both alike."""
    one, two = np.array(scores), np.array(others)
    rng = np.random.default_rng(0)
    draws = [
        np.concatenate([rng.integers(0, TESTED, TESTED), rng.integers(TESTED, 2 * TESTED, TESTED)])
        for _ in range(RESAMPLES)
    ]
    apart = [auroc(one[rows]) - auroc(two[rows]) for rows in draws]
    low, high = np.quantile(apart, [0.025, 0.975])
    return f"{auroc(one) - auroc(two):+.4f} ({low:+.4f} to {high:+.4f})"


def in_own_process(images: int, memory: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one size in a process of its own, unless the file of results has it."""
    known = options.results.read_text().splitlines() if options.results and options.results.exists() else []
    found: dict[str, Any]
    for line in known:
        found = json.loads(line)
        if (found["images"], found["memory"]) == (images, memory):
            return found
    words = ["--one", str(images), "--memory", memory, "--bank", str(options.bank), "--drawn", str(options.drawn)]
    # Threads that wait must not spin: on a busy machine that would count as work.
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(  # noqa: S603 - this very program
        [sys.executable, "-m", "benchmarks.patchcore_scale", *words],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    line = done.stdout.splitlines()[-1]
    if options.results:
        with options.results.open("a") as file:
            print(line, file=file)
    found = json.loads(line)
    return found


def told(found: dict[str, Any]) -> str:
    """Write a row without what is long."""
    return str({name: value for name, value in found.items() if name not in {"scores", "course"}})


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the processor's minutes and the largest resident memory over images: one line a size, its end marked."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    minutes, memory = figure.subplots(1, 2)
    for row in sorted(rows, key=lambda row: -int(row["images"])):
        end = [row["images"], row["cpu_s"], row["wall_s"], row["peak_gib"]]
        images, cpu_s, _, gib = zip([0, 0, 0, row["before_gib"]], *row["course"], end, strict=True)
        for axes, values in ((minutes, np.array(cpu_s) / 60), (memory, gib)):
            (line,) = axes.plot(images, values, linewidth=1.5, label=f"{row['images']:,}")
            axes.plot(images[-1], values[-1], "o", color=line.get_color(), markersize=5)
    memory.axhline(read_size(rows[0]["memory"], "memory") / 2**30, color="0.3", linestyle="--", linewidth=1)
    for axes, unit in ((minutes, "minutes of the processor"), (memory, "largest resident memory, GiB")):
        axes.set(xlabel="images", ylabel=unit, xlim=(0, None), ylim=(0, None))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(alpha=0.3)
    memory.legend(title="images in all; dots: bank chosen", loc="lower right", frameon=False, fontsize=8)
    figure.savefig(path)


def main() -> None:
    """Print a row for each number of images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 5000, 20_000, 43_260])
    parser.add_argument("--memory", default="4GiB")
    parser.add_argument("--bank", type=int, default=20_000)
    parser.add_argument("--drawn", type=int, default=1000)
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--results", type=Path, help="a file of what is complete")
    parser.add_argument("--plot", type=Path, help="a picture to draw: .svg or .png")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run(options.one, options.memory, options.bank, options.drawn)))
        return
    rows = []
    for images in options.images:
        found = in_own_process(images, options.memory, options)
        rows.append(found)
        row = told(found)
        if options.exact:
            whole = in_own_process(images, "1000GiB", options)
            row += f"; all held: {told(whole)}; difference {difference(found['scores'], whole['scores'])}"
        print(row, flush=True)
        if options.plot:
            plot(rows, options.plot)


if __name__ == "__main__":
    main()
