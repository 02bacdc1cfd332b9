"""How well grain sizes from a network's lines agree with those from people's, on scans that it never saw.

python -m benchmarks.grain_sizes RUN [--depth SHARE ...] [--sigma PIXELS ...] [--split test]

RUN marks grain boundaries (``loupe train experiment=metallography_grains``). Every marked square of a split is closed
to grains by a watershed on the network's logits, as ``loupe predict line=metallography`` closes scans, and from what
people drew; lengths and boundaries met are added up over the squares of a scan. The last column is what the usual way
gives: the marked lines thinned, and filled between. A grain size number G differs by ``-6.64 log10`` of the ratio.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch
from skimage.morphology import skeletonize

from callbacks.decisions.calibration import calibration_of
from callbacks.grains.closing import DEPTH, SIGMA, Grains, Mask, grains_of_lines, grains_of_logits, rim_of_lines
from callbacks.grains.counting import intercepts
from datamodules.progress import track
from tools.configuring.build import build
from tools.runs.checkpoint import read_checkpoint, restore
from tools.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from datamodules.metallography import MetallographyDataModule

PER_DECADE = 6.643856


def mean_intercept(maps: list[tuple[Grains, Mask | None]]) -> float:
    """Return the mean intercept of all squares of a scan together."""
    counted = [intercepts(grain_HW, rim_HW) for grain_HW, rim_HW in maps]
    return sum(sum(one.length.values()) for one in counted) / max(1, sum(sum(one.met.values()) for one in counted))


def thinned(mask_HW: Mask) -> Mask:
    """Thin lines to one pixel."""
    return np.asarray(skeletonize(mask_HW), np.bool_)  # type: ignore[no-untyped-call]  # the library has no annotations


def main() -> None:
    """Print a row per scan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--depth", type=float, nargs="*", default=[DEPTH])
    parser.add_argument("--sigma", type=float, nargs="*", default=[SIGMA])
    parser.add_argument("--split", default="test")
    given = parser.parse_args()
    checkpoint = read_checkpoint(RunFolder.open(given.run).best_checkpoint)
    module = restore(checkpoint).eval()
    threshold = float(calibration_of(module).pixel_threshold)
    data: MetallographyDataModule = build(checkpoint.config.data, "data")
    data.setup()
    rows = data.split_samples(given.split)
    dataset = data.dataset(rows)
    logits, marks = defaultdict(list), defaultdict(list)
    for index in track(range(len(dataset)), "judging squares"):
        sample = dataset[index]
        if sample.mask is None:
            continue
        with torch.inference_mode():
            logits[sample.group].append(np.asarray(module.predict(sample.image[None])[0].anomaly_map)[0])
        marks[sample.group].append(sample.mask.numpy().astype(bool))
    drawn = {
        scan: mean_intercept([(grains_of_lines(line), rim_of_lines(line)) for line in lines])
        for scan, lines in marks.items()
    }
    thin = {
        scan: mean_intercept([(grains_of_lines(thinned(one >= threshold)), None) for one in some])
        for scan, some in logits.items()
    }
    for sigma, depth in product(given.sigma, given.depth):
        print(f"\nsigma {sigma:g}, depth {depth:g}\n")
        print("| scan | squares | marks, px | network, px | G off by | filled, px |")
        print("|---|---|---|---|---|---|")
        off = []
        for scan, some in sorted(logits.items()):
            found = mean_intercept([(grains_of_logits(one, sigma=sigma, depth=depth), None) for one in some])
            off.append(-PER_DECADE * np.log10(found / drawn[scan]))
            print(f"| {scan} | {len(some)} | {drawn[scan]:.1f} | {found:.1f} | {off[-1]:+.2f} | {thin[scan]:.0f} |")
        print(f"\nmean of absolutes {np.mean(np.abs(off)):.2f}, largest {np.max(np.abs(off)):.2f}")


if __name__ == "__main__":
    main()
