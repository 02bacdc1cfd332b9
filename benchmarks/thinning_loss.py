"""What thinning costs: AUROC of banks of patches thinned as they come, beside greedy coresets of all, over many draws.

    python -m benchmarks.thinning_loss [--first 40] [--draws 40] [--images 100] [--bank 500] [--results FILE]

Each draw has fiber end faces of its own: good ones to learn, 100 good and 100 defective ones to test. Four banks of the
same size are made of the same patches: greedy selection from one random first patch, and from another (which says by
how much the AUROC moves for no reason), patches thinned as they come, and a random draw. A line for each draw, then
means with 95 % intervals over draws. What is complete goes to a file, and is not run again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from datamodules.synthetic.domains import defective_image, good_image
from models.components.coreset import k_center_greedy
from models.components.thinning import Thinning
from models.patchcore import PatchCore

from .patchcore_scale import BATCH, LOUPE_NET, TESTED, auroc, coloured, drawn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from datamodules.synthetic.domains import Order

FIRST_DRAW = 200  # seeds of drawn faces, of which those before were looked at while thinning was written
BANKS = ("greedy", "another first patch", "thinned", "random")


def batches(orders: Sequence[Order]) -> Iterator[Tensor]:
    """Draw images (B, 3, H, W)."""
    for first in range(0, len(orders), BATCH):
        yield coloured(torch.stack([drawn(order) for order in orders[first : first + BATCH]]))


def choose(patch_ND: Tensor, count: int) -> list[int]:
    """Choose patches that lie far apart, the first at random."""
    return list(k_center_greedy(patch_ND, count, int(torch.randint(len(patch_ND), ()))))


def thinned(parts: Sequence[Tensor], count: int) -> Tensor:
    """Choose patches (count, D) of those that are left of parts that come one after the other."""
    thinning = Thinning(count, choose)
    for part_ND in parts:
        thinning.add(part_ND, torch.zeros(len(part_ND), dtype=torch.int64))
    left_ND, _ = thinning.take()
    return left_ND[choose(left_ND, count)]


@torch.inference_mode()
def run(draw: int, images: int, bank: int) -> dict[str, float]:
    """Return the AUROC of each bank, for one draw."""
    torch.manual_seed(draw)
    module = PatchCore(LOUPE_NET, bank_size=bank).eval()
    parts = [
        module.describe(image)[0]
        for image in batches([good_image("fiber", FIRST_DRAW + draw, number) for number in range(images)])
    ]
    patch_ND = torch.cat(parts)
    banks = {
        "greedy": patch_ND[choose(patch_ND, bank)],
        "another first patch": patch_ND[choose(patch_ND, bank)],
        "thinned": thinned(parts, bank),
        "random": patch_ND[torch.randperm(len(patch_ND))[:bank]],
    }
    orders = [good_image("fiber", 1000 + draw, number) for number in range(TESTED)]
    orders += [defective_image("fiber", 1000 + draw, number) for number in range(TESTED)]
    scores: dict[str, list[float]] = {name: [] for name in banks}
    for image in batches(orders):
        for name, bank_MD in banks.items():  # of one batch one after the other: its features are computed once
            module.model.set_bank(bank_MD)
            scores[name] += module.model(image).pred_score.tolist()
    return {name: auroc(np.array(values)) for name, values in scores.items()}


def interval(values: Sequence[float]) -> str:
    """Say a mean and its 95 % interval over draws."""
    half = 1.96 * np.std(values, ddof=1) / len(values) ** 0.5
    return f"{np.mean(values):+.4f} ({np.mean(values) - half:+.4f} to {np.mean(values) + half:+.4f})"


def main() -> None:
    """Print a line for each draw, and what they come to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0, help="number of the first of them")
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--bank", type=int, default=500)
    parser.add_argument("--results", type=Path, help="a file of what is complete")
    options = parser.parse_args()
    known: dict[int, dict[str, float]] = {}
    if options.results and options.results.exists():
        known = {line["draw"]: line["auroc"] for line in map(json.loads, options.results.read_text().splitlines())}
    draws = range(options.first, options.first + options.draws)
    for draw in draws:
        if draw not in known:
            known[draw] = run(draw, options.images, options.bank)
            if options.results:
                with options.results.open("a") as file:
                    print(json.dumps({"draw": draw, "auroc": known[draw]}), file=file)
        print(draw, {name: round(value, 4) for name, value in known[draw].items()}, flush=True)
    rows = [known[draw] for draw in draws]
    print({name: round(float(np.mean([row[name] for row in rows])), 4) for name in BANKS})
    for name in BANKS[1:]:
        print(f"{name} less greedy: {interval([row[name] - row['greedy'] for row in rows])}")
    either = [row["thinned"] - (row["greedy"] + row["another first patch"]) / 2 for row in rows]
    print(f"thinned less the mean of both greedy ones: {interval(either)}")


if __name__ == "__main__":
    main()
