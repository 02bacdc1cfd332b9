"""What a model for each layer group brings: three drawn groups of layers, a model for each, and one for all.

python -m benchmarks.by_kind OUT [--seed N] [--builds N]

Groups differ in brightness, texture and noise: quiet, striped and coarse. A third of the builds have defects on every
second layer, squares that stand out from the noise of their own group alike: in the quiet one they are weaker than
what is usual in the coarse one. ``by_kind=true`` trains, tests and compares; then each group's model is trained again
by hand (``data.kinds=``), and its scores are held against those of the one call.

The test, settled before a seed is drawn: exact McNemar on the verdicts of all test images, two-sided, at 0.05. Beside
it stand the differences of recall, false alarms and F1, resampled by builds, since layers of a build are no independent
images. With 200 builds a threshold of a group rests on 32 to 52 defective layers; with 60, on 10 to 14, and one that
lies badly can cost what the models gain.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import pandas as pd

from tools.train import run as train

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

SIDE = 64
LAYERS = 4  # of a build
DATA = ("data=print3d", "data.layer_groups=3", "data.image_size=[64,64]", "data.num_workers=0", "data.test_share=0.4")
MODEL = ("model=padim", "model.n_features=30", "callbacks.evaluation.resamples=200", "report=false", "trainer=cpu")


class Look(NamedTuple):
    """How the layers of a group look, in grey levels and pixels.

    Attributes:
        level: Mean.
        wave: Of the texture, at its strongest.
        noise: Standard deviation.
        contrast: Of a defect.
        side: Of a defect.
    """

    level: float
    wave: float
    noise: float
    contrast: float
    side: int


LOOKS = (Look(60, 0, 1, 5, 4), Look(120, 12, 4, 16, 6), Look(180, 14, 7, 28, 8))


def main() -> None:
    """Draw, train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for layers and runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--builds", type=int, default=200, help="of each group")
    parser.add_argument("--by-hand", action=argparse.BooleanOptionalAction, default=True, help="train each group again")
    asked = parser.parse_args()
    root = asked.out / f"layers_{asked.seed}"
    draw_groups(root, asked.seed, asked.builds)
    words = [*DATA, *MODEL, f"data.root={root}", f"out={asked.out}", f"name=seed_{asked.seed}"]
    run = train([*words, "by_kind=true", "id=kinds"], show=False)
    if run is None:
        raise SystemExit("Expected a run, but none was trained.")
    found = json.loads((run / "metrics.json").read_text())["by_kind"]["paired"]
    print(found["sentence"])
    for measure, less in found["less_shared"].items():
        print(f"{measure}: {less['value']:+.3f} ({less['low']:+.3f} to {less['high']:+.3f})")
    own = json.loads((run / "by_kind.json").read_text())["own"] if asked.by_hand else {}
    for kind, part in own.items():
        hand = train([*words, f"data.kinds=[{kind}]", f"id=hand_{kind}"], show=False)
        if hand is None:
            raise SystemExit("Expected a run, but none was trained.")
        print(f"{kind}: {furthest(run / part, hand)} apart from the run by hand, at most")


def draw_groups(root: Path, seed: int, builds: int) -> None:
    """Draw the builds of all groups below a folder."""
    rng = np.random.default_rng(seed)
    for group, look in enumerate(LOOKS):
        for build in range(builds):
            for layer in range(LAYERS):
                defective = build >= builds * 2 // 3 and layer % 2 == 0
                folder = root / ("defective" if defective else "good") / f"machine_{group}" / f"job_{group}{build:03}"
                folder.mkdir(parents=True, exist_ok=True)
                values = draw(look, rng, defective=defective)
                cv2.imwrite(str(folder / f"layer_{layer:04}.png"), values.clip(0, 255).astype(np.uint8))


def draw(look: Look, rng: np.random.Generator, *, defective: bool) -> Floats:
    """Draw a layer: (SIDE, SIDE) grey levels."""
    y, x = np.mgrid[:SIDE, :SIDE]
    texture = np.sin(y / 4) * np.sin(x / 4) if look.noise > 5 else np.sin(x / 3)
    values: Floats = look.level + look.wave * texture + rng.normal(0, look.noise, (SIDE, SIDE))
    if defective:
        top, left = rng.integers(8, SIDE - 16, 2)
        values[top : top + look.side, left : left + look.side] += look.contrast * rng.choice((-1, 1))
    return values


def furthest(one: Path, other: Path) -> str:
    """Say how far the scores of two runs on the same images lie apart at most, and how many verdicts differ."""
    tables = [pd.read_csv(run / "predictions.csv").set_index("name") for run in (one, other)]
    both = tables[0].join(tables[1].add_suffix("_hand"), how="outer")
    apart = float((both["score"] - both["score_hand"]).abs().max(skipna=False))
    return f"scores {apart:g} and {int((both['verdict'] != both['verdict_hand']).sum())} verdicts of {len(both)}"


if __name__ == "__main__":
    main()
