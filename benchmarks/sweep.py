"""Time of a sweep over 20 settings of PatchCore, as a multiple of one run: what sharing features and coresets saves.

python -m benchmarks.sweep [--backbone loupe] [--good 160] [--size 256]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.sweeps.journal import read_trials

SETTINGS = ("model.coreset_ratio=0.1,0.05,0.02,0.01", "model.num_neighbors=1,3,5,9,15")


def main() -> None:
    """Print the seconds of one run and of both sweeps, and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="loupe")
    parser.add_argument("--good", type=int, default=160)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--alone", action="store_true", help="also sweep with nothing shared")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        common = [
            f"backbone={given.backbone}",
            f"data.good={given.good}",
            f"data.image_size=[{given.size},{given.size}]",
        ]
        common += [
            f"data.root={folder}/drawn",
            "trainer=cpu",
            *([] if given.backbone == "loupe" else ["backbone.weights=none"]),
        ]
        loupe("train", *common, f"out={folder}/first")  # draws the pictures, and warms the disk
        run = loupe("train", *common, f"out={folder}/run")
        print(f"one run: {run:.1f} s")
        for name, share in (("shared", 10), ("alone", 0)) if given.alone else (("shared", 10),):
            keys = [*SETTINGS, "sweep.workers=1", f"sweep.share_gib={share}", f"out={folder}", f"name={name}"]
            seconds = loupe("sweep", *common, *keys)
            trials = read_trials(Path(folder) / name)
            print(f"{len(trials)} settings, {name}: {seconds:.1f} s, {seconds / run:.2f} times one run")


def loupe(*args: str) -> float:
    """Run a command; return its seconds, from start to end."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tools", *args], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
