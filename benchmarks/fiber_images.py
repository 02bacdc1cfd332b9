"""How well the untrained detector tells defective end faces from good ones, on labelled images, by enhancement.

    python -m benchmarks.fiber_images ROOT [--enhance original clahe ...] [--every 1]

ROOT holds labels.csv with the columns image and label (good or defective; others are left out). Zones are found on the
image as it is; what is enhanced is what the detector looks at. Nothing is trained and nothing is fitted to the images.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from callbacks.statistics.bootstrap import Resampling, group_weights
from datamodules.enhancing.enhancement import Enhancement, read_enhancement
from datamodules.files.images import read_image
from datamodules.zones.finding import find_zones
from datamodules.zones.view import to_grey
from models.faces.marks import Filters, Scoring, agreed, responses, score_of
from models.faces.view import view_face
from tools.runner.face import BORDER

ALL = (
    *("original", "otsu", "adaptive", "gaussian", "median", "clahe", "canny", "sobel_x", "jet", "bilateral"),
    *("flatten", "gradient"),
)


def scores(path: Path, enhancements: dict[str, Enhancement]) -> dict[str, float]:
    """Score an image under each enhancement."""
    values = read_image(path)
    zones = find_zones(values)
    found = {}
    for name, enhance in enhancements.items():
        grey_HW = 255 * to_grey(enhance(values))
        face = view_face(grey_HW, zones.cladding, zones.core, BORDER)
        found[name] = score_of(face, agreed(*responses(face, Filters())), Scoring())
    return found


def auroc(
    good: np.ndarray[tuple[int, ...], np.dtype[np.float64]], bad: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> float:
    """Return the share of pairs that lie in order, ties counted half."""
    apart = bad[:, None] - good[None]
    return float((apart > 0).mean() + 0.5 * (apart == 0).mean())


def interval(score_N: pd.Series, defective_N: pd.Series) -> tuple[float, float]:
    """Return a 95 % interval from 2,000 resamples of the images, within their classes."""
    values, bad = score_N.to_numpy(np.float64), defective_N.to_numpy(np.bool_)
    resampling = Resampling(2000, 0.95, 0)
    weights = np.concatenate(list(group_weights(bad, resampling, resampling.resamples)))
    apart = np.sign(values[bad][:, None] - values[~bad][None]) / 2 + 0.5
    drawn = [
        float(one[bad] @ apart @ one[~bad]) / max(float(one[bad].sum() * one[~bad].sum()), 1e-9) for one in weights
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    """Print a row per enhancement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--enhance", nargs="+", default=list(ALL))
    parser.add_argument("--every", type=int, default=1, help="take one good image in so many")
    options = parser.parse_args()
    table = pd.read_csv(options.root / "labels.csv")
    table = table[table["label"].isin(["good", "defective"])]
    good = table[table["label"] == "good"].iloc[:: options.every]
    table = pd.concat([good, table[table["label"] == "defective"]], ignore_index=True)
    enhancements = {name: read_enhancement([name]) for name in options.enhance}
    before = time.process_time()
    found = pd.DataFrame([scores(options.root / image, enhancements) for image in table["image"]])
    seconds = (time.process_time() - before) / len(table)
    defective = table["label"] == "defective"
    print(
        f"{int(defective.sum())} defective, {int((~defective).sum())} good; {seconds:.2f} s of processor time an image"
    )
    for name in enhancements:
        value = auroc(found[name][~defective].to_numpy(), found[name][defective].to_numpy())
        low, high = interval(found[name], defective)
        print(f"{name:10} AUROC {value:.3f}  ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
