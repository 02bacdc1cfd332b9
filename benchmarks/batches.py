"""Processor time of an image alone and in a batch of 16, for models with maps, with freed memory kept and given back.

    python -m benchmarks.batches
    python -m benchmarks.batches --models patchcore unet --threads 2

Each model learns for one epoch of drawn fibers (256x256), in a process of its own for each row; then images are judged
one by one and 16 at a time, in turns. Medians, milliseconds of user and system time per image; the kernel's share of it
is what touching new pages costs.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tools.freed_memory import SETTINGS, keep_freed_memory
from tools.runs.checkpoint import read_checkpoint, restore
from tools.train import main as train

if TYPE_CHECKING:
    from models.base import InspectionModel

MODELS = ("patchcore", "padim", "dfm", "efficient_ad", "conv_ae", "stfpm", "unet")
SIZES = (1, 16)
IMAGES = 32  # of each size in a turn


def learnt(model: str, root: str) -> InspectionModel:
    """Train a model for a moment, as ``loupe train`` does."""
    drawn = ("data=synthetic", "data.domain=fiber", "data.good=48", "data.defective=32", f"data.root={root}/drawn")
    short = (
        "trainer=cpu",
        "trainer.max_epochs=1",
        "trainer.max_steps=4",
        "report=false",
        "callbacks.evaluation.atlas=0",
    )
    words = [f"model={model}", *drawn, *short, f"out={root}", "name=a", "id=run", "data.num_workers=0"]
    if train(words):
        sys.exit(f"Expected {model} to train.")
    return restore(read_checkpoint(Path(root, "a", "run", "checkpoints", "best.ckpt"))).eval()


@torch.inference_mode()
def measure(module: InspectionModel, turns: int = 5) -> dict[int, tuple[float, float]]:
    """Return user and system milliseconds of an image, by the size of the batch."""
    spent: dict[int, list[tuple[float, float]]] = {size: [] for size in SIZES}
    image_B3HW = torch.rand(max(SIZES), 3, 256, 256)
    for turn in range(turns + 1):
        for size in SIZES:
            before = resource.getrusage(resource.RUSAGE_SELF)
            for _ in range(IMAGES // size):
                module.predict(image_B3HW[:size].clone())
            after = resource.getrusage(resource.RUSAGE_SELF)
            if turn:
                user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
                spent[size].append((1000 * user / IMAGES, 1000 * system / IMAGES))
    return {
        size: (statistics.median(user for user, _ in rows), statistics.median(system for _, system in rows))
        for size, rows in spent.items()
    }


def row(model: str, threads: int, *, keep: bool) -> str:
    """Measure a model in this process; return a line of the table."""
    if keep:
        keep_freed_memory()
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as root:
        found = measure(learnt(model, root))
    cells = [f"{user + system:.1f} ({system:.1f})" for user, system in found.values()]
    return f"| {model} | {'kept' if keep else 'given back'} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", choices=["keep", "give"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(row(options.models[0], options.threads, keep=options.one == "keep"))
        return
    print("| model | freed memory is | alone: ms (of the kernel) | of 16: ms (of the kernel) |\n|---|---|---|---|")
    clean = {name: value for name, value in os.environ.items() if name not in {one.variable for one in SETTINGS}}
    for model in options.models:
        for how in ("give", "keep"):
            words = ["--models", model, "--threads", str(options.threads), "--one", how]
            done = subprocess.run(  # noqa: S603 - this very program
                [sys.executable, "-m", "benchmarks.batches", *words],
                env=clean,
                check=True,
                capture_output=True,
                text=True,
            )
            print(done.stdout.splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
