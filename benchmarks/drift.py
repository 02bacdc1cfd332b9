"""Are images of another source flagged, and those of the same one not? Measured on real sets by resampling.

python -m benchmarks.drift --data FOLDER [--sets NAME ...] [--model OVERRIDE ...] [--resamples N] [--seed N]
                           [--fresh-only] [--out FOLDER]

FOLDER holds ``fiber``, ``benchmark/screw``, ``print3d``, ``oring/spindle`` and ``meta_atom``. Of each, one model is
trained. Then

* **fresh**: good images are drawn anew, by group, N times: some stand for training and calibration, the rest for fresh
  images of the same source. The share of images flagged, and of sets, should be at most 1 in 100 and 1 in 20;
* **changed**: copies of the test images, darkened, blurred, rescaled, in another focus, light and magnification, are
  judged by the model as ``loupe predict`` does;
* **other**: the second array of ``meta_atom``, taken by another camera, by a model of the first.

No other microscope's end faces are at hand: ``microscope`` is derived from the fiber images, by another magnification,
aspect, light, focus and ferrule.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch

from callbacks.decisions.calibration import calibration_of
from callbacks.decisions.described import describe
from callbacks.statistics.cloud import Cloud, left_out
from callbacks.statistics.drift import ALARM
from callbacks.statistics.novelty import FACTS, FEWEST
from callbacks.statistics.usual import Usual
from datamodules.files.images import read_image, to_rgb
from datamodules.table import GOOD, TEST, TRAIN
from datamodules.views import ViewDataset, read_view
from tools.configuring.build import build
from tools.configuring.config import compose_config
from tools.runner.decision import Decision
from tools.runner.judge import Judge
from tools.runner.stream import in_batches
from tools.runs.checkpoint import read_checkpoint, restore
from tools.runs.predicting import infer
from tools.runs.trainers import build_trainer
from tools.runs.training import train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from callbacks.statistics.examined import Examined
    from datamodules.files.images import Array
    from datamodules.samples.dataset import InspectionDataset
    from models.base import InspectionModel
    from tools.runner.result import Result

OTHER_CAMERA = ("data.test_arrays=[Array_2Crop]",)
SETS = {
    "fiber": ("data=fiber", "fiber", "data.image_size=[192,256]"),
    "screw": ("data=folder", "benchmark/screw", "data.image_size=[192,192]"),
    "print3d": ("data=print3d", "print3d", "data.image_size=[192,192]"),
    "spindle": ("data=oring", "oring/spindle", "data.image_size=[128,256]"),
    "meta_atom": ("data=meta_atom", "meta_atom", "data.image_size=[64,64]", "data.blocks=3", *OTHER_CAMERA),
}
EVERYWHERE = (
    *("trainer=cpu", "report=false", "data.num_workers=0"),
    *("callbacks.evaluation.resamples=10", "callbacks.evaluation.atlas=0"),
)
BATCH = 8  # images
FRESH_SHARE = 0.4  # of the good images that stand for fresh ones, by group


class Judged(NamedTuple):
    """Facts of images as a model sees them, their groups, and how many it called defective."""

    facts: list[dict[str, float]]
    groups: list[str]
    alarms: int


def darkened(values: Array, factor: float) -> Array:
    """Turn the light down."""
    return (values * np.float32(factor)).astype(values.dtype)


def blurred(values: Array, sigma: float) -> Array:
    """Lose focus, by so many pixels."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma))


def rescaled(values: Array, factor: float) -> Array:
    """Take it with more or fewer pixels."""
    return np.asarray(cv2.resize(values, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))


def magnified(values: Array, factor: float) -> Array:
    """Show less of the part in as many pixels."""
    height, width = values.shape[:2]
    top, left = round(height * (1 - 1 / factor) / 2), round(width * (1 - 1 / factor) / 2)
    return np.asarray(cv2.resize(values[top : height - top, left : width - left], (width, height)))


def microscope(values: Array) -> Array:
    """Take an end face by another microscope: 640x480, nearer, softer, darker at the border, a brighter ferrule."""
    seen = to_rgb(np.asarray(cv2.resize(magnified(values, 1.25), (640, 480), interpolation=cv2.INTER_AREA)))
    rows, columns = np.indices(seen.shape[:2], dtype=np.float32)
    away = np.hypot(rows / 240 - 1, columns / 320 - 1)
    light = (0.8 - 0.15 * away)[..., None] * np.array([1.05, 1.0, 0.9], np.float32)
    ferrule = 25.0 * (away > 0.7)[..., None]
    taken: Array = np.clip(blurred(seen, 1.2) * light + ferrule, 0, 255).astype(np.uint8)
    return taken


CHANGES: dict[str, Callable[[Array], Array]] = {
    "as they are": lambda values: values,
    "darkened to 0.85": partial(darkened, factor=0.85),
    "darkened to 0.7": partial(darkened, factor=0.7),
    "blurred by 1": partial(blurred, sigma=1.0),
    "blurred by 2": partial(blurred, sigma=2.0),
    "half the pixels": partial(rescaled, factor=0.5),
    "magnified by 1.3": partial(magnified, factor=1.3),
    "another microscope": microscope,
}


class Model(NamedTuple):
    """A trained run: its sample table, how samples are read, and a judge as ``loupe predict`` builds it."""

    samples: pd.DataFrame
    dataset: Callable[[pd.DataFrame], InspectionDataset]
    judge: Judge
    usual: Usual
    module: InspectionModel


def train_on(name: str, root: Path, out: Path, chosen: Sequence[str]) -> Model:
    """Train on one set, and open what came of it."""
    data, place, *more = SETS[name]
    overrides = [data, f"data.root={root / place}", *more, *EVERYWHERE, *chosen, f"out={out}", f"id={name}"]
    config = compose_config("train", overrides)
    folder = train(config)
    module = restore(read_checkpoint(folder.best_checkpoint)).eval()
    datamodule = build(config.data, "data")
    datamodule.setup()
    calibration = calibration_of(module)
    if calibration.usual is None:
        raise RuntimeError("Expected the training to note what is usual, but it did not.")
    judge = Judge(
        infer=partial(infer, module, build_trainer(config, []).precision_plugin),
        decision=Decision(calibration.summary()),
        size=(datamodule.reading.height, datamodule.reading.width),
        white_level=datamodule.reading.white_level,
        about={},
        usual=calibration.usual,
    )
    return Model(datamodule.samples, datamodule.dataset, judge, calibration.usual, module)


def read_rows(model: Model, rows: pd.DataFrame) -> Iterator[Array]:
    """Read the images of some rows as stored."""
    dataset = model.dataset(rows)
    views = dataset.views if isinstance(dataset, ViewDataset) else [None] * len(rows)
    for path, view in zip(rows["image_path"], views, strict=True):
        yield read_image(path) if view is None else read_view(path, view)


def describe_rows(model: Model, rows: pd.DataFrame) -> Array:
    """Return the embeddings of the images of some rows; (N, 0) where the model has none."""
    images = (model.judge.prepare(values) for values in read_rows(model, rows))
    found = [
        describe(model.module, torch.from_numpy(np.stack(batch)).to(model.module.device))
        for batch in in_batches(images, BATCH)
    ]
    known = [embedding_BD for embedding_BD in found if embedding_BD is not None]
    return np.concatenate(known) if known else np.empty((len(rows), 0), np.float32)


def judge_rows(model: Model, rows: pd.DataFrame, change: Callable[[Array], Array]) -> Judged:
    """Judge changed copies of the images of some rows."""
    results: list[Result] = list(model.judge.stream(map(change, read_rows(model, rows)), batch_size=BATCH))
    facts = [dict(result.facts) for result in results]
    return Judged(facts, rows["group"].tolist(), sum(result.defective for result in results))


def fresh(model: Model, resamples: int, seed: int) -> list[dict[str, Any]]:
    """Draw groups of good images anew: how often are those of the same source flagged, one by one and as a set?

    Images that the bank of the model was filled with have no level, on either side.
    """
    samples = model.samples[model.samples["label_index"] == GOOD]
    if "array" in samples:
        samples = samples[samples["array"] == samples["array"].iloc[0]]
    bank, others = samples[samples["split"] == TRAIN], samples[samples["split"] != TRAIN]
    columns = {name: bank[name].tolist() for name in FACTS if name in bank}
    judged = judge_rows(model, others, CHANGES["as they are"])
    rng, groups = np.random.default_rng(seed), np.unique(samples["group"])
    everything = pd.DataFrame(
        [*[dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)], *judged.facts]
    ).assign(group=[*bank["group"], *judged.groups])
    embedding_ND = np.concatenate([describe_rows(model, bank), describe_rows(model, others)])
    flagged = images = sets = decided = 0
    for _ in range(resamples):
        chosen = rng.permutation(groups)[: max(1, round(FRESH_SHARE * len(groups)))]
        is_fresh = everything["group"].isin(chosen)
        distances = left_out_and_fresh(embedding_ND, everything["group"].to_numpy(str), is_fresh.to_numpy())
        known, new = (everything.assign(embedding=distances)[side] for side in (~is_fresh, is_fresh))
        usual = Usual.learn(
            {name: known[name].tolist() for name in FACTS if name in known},
            known["group"].tolist(),
            level_range=model.usual.level_range,
        )
        names = [name for name in FACTS if name in new]
        facts = [dict(zip(names, row, strict=True)) for row in new[names].itertuples(index=False)]
        found = usual.examine(facts, new["group"].tolist(), new["group"].tolist())
        flagged, images = flagged + found.flagged, images + found.images
        sets, decided = sets + found.drift.drifted, decided + (found.drift.p_value is not None)
    return [
        {
            "images": "fresh ones",
            "flagged": f"{flagged / max(images, 1):.4f}",
            "set": f"{sets} of {decided} sets" if decided else "too few groups",
            "good images": len(samples),
            "groups": len(groups),
        }
    ]


def left_out_and_fresh(embedding_ND: Array, group_N: Array, is_fresh_N: Array) -> Array:
    """Say how far out embeddings lie: of known images for those of other groups, of fresh ones for all known ones."""
    distance_N = np.full(len(group_N), np.nan)
    known_ND = embedding_ND[~is_fresh_N]
    if known_ND.size and len(known_ND) >= FEWEST:
        distance_N[~is_fresh_N] = left_out(known_ND, np.unique(group_N[~is_fresh_N], return_inverse=True)[1])
        distance_N[is_fresh_N] = Cloud.fit(known_ND).distances(embedding_ND[is_fresh_N])
    return distance_N


def changed(name: str, model: Model) -> list[dict[str, Any]]:
    """Judge changed copies of the good test images."""
    rows = model.samples[(model.samples["split"] == TEST) & (model.samples["label_index"] == GOOD)]
    found = []
    for change, apply in CHANGES.items():
        if change == "another microscope" and name != "fiber":
            continue
        judged = judge_rows(model, rows, apply)
        examined = model.usual.examine(judged.facts, judged.groups, judged.groups)
        found.append(
            {
                "images": change if name != "meta_atom" else f"array 2, {change}",
                "flagged": f"{examined.flagged / examined.images:.4f}",
                "set": said_of(examined),
                "good images": examined.images,
                "groups": len(set(judged.groups)),
                "false alarms": judged.alarms,
            }
        )
    return found


def said_of(examined: Examined) -> str:
    """Say whether a set differs, and in what."""
    p_value = examined.drift.p_value
    moved = [one for one in sorted(examined.facts, key=lambda one: one.p_value) if one.p_value <= ALARM]
    names = f": {', '.join(one.fact for one in moved)}" if moved else ""
    return "too few groups" if p_value is None else f"p = {p_value:.2g}{names}"


def main(args: Sequence[str] | None = None) -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--model", nargs="+", default=["model=patchcore", "model.coreset_ratio=0.02"])
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the groups that are drawn anew")
    parser.add_argument("--fresh-only", action="store_true", help="judge no changed copies")
    parser.add_argument("--out", type=Path, default=Path("runs/drift"))
    options = parser.parse_args(args)
    rows = []
    for name in options.sets:
        model = train_on(name, options.data, options.out, options.model)
        found = fresh(model, options.resamples, options.seed)
        found += [] if options.fresh_only else changed(name, model)
        rows += [{"set of images": name, **row} for row in found]
    print(pd.DataFrame(rows).fillna("").to_markdown(index=False))


if __name__ == "__main__":
    main()
