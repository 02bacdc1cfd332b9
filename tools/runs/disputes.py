"""Images on which runs disagree, run through each model again, so that their maps can be seen side by side.

Letters: N images, R runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.stats import rankdata

from callbacks.measures.examples import categorise, example_of
from callbacks.measures.proportions import in_proportion, sizes_of
from callbacks.report.compare import Dispute, Shown
from callbacks.report.wording import score, score_decimals
from datamodules.errors import DataError
from datamodules.progress import track
from datamodules.samples.batch import collate
from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES
from models.errors import WeightsError
from tools.configuring.build import build
from tools.errors import ConfigError

from .checkpoint import read_checkpoint, restore
from .run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

    from callbacks.measures.examples import Example
    from callbacks.statistics.paired import Judged
    from datamodules.base import InspectionDataModule

    from .matching import TestedRun

UNREADABLE = (ConfigError, DataError, WeightsError, ImportError, KeyError, RuntimeError)
"""What an old or moved run may end in: a comparison of tables must not fail for it."""


def disputed_rows(judged_R: Sequence[Judged], label_N: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Return rows of labelled images with different verdicts, those first that the runs rank most differently."""
    verdict_RN = np.stack([judged.verdict_N for judged in judged_R])
    rank_RN = np.stack([rankdata(judged.score_N) for judged in judged_R])
    apart_N = rank_RN.max(axis=0) - rank_RN.min(axis=0)
    rows = np.flatnonzero((verdict_RN.min(axis=0) != verdict_RN.max(axis=0)) & (label_N >= GOOD))
    return rows[np.argsort(-apart_N[rows], kind="stable")]


def predict_again(
    runs: Sequence[TestedRun], images: pd.DataFrame, judged_R: Sequence[Judged], rows: Sequence[int]
) -> tuple[list[Dispute], list[str]]:
    """Run disputed images through every run's model.

    Returns:
        The disputes, and sentences about runs whose maps could not be had.
    """
    keys = images.index[list(rows)]
    if not len(keys):  # no run disagrees with another
        return [], []
    found, notes = [], []
    for run in track(runs, "looking again where runs disagree"):
        try:
            found.append(examples_of(run, {str(run.judged.loc[key, "name"]) for key in keys}))
        except UNREADABLE as error:
            found.append({})
            why = str(error).splitlines()[0].rstrip(":")
            notes.append(f"No maps of {run.folder.path.name} are shown: its model could not be run again: {why}")
    disputes = []
    sides = list(zip(runs, found, judged_R, strict=True))
    for key, row in zip(keys, rows, strict=True):
        about = images.loc[key]
        defective = about["label_index"] == DEFECTIVE
        shown = [
            _shown(run, examples.get(str(run.judged.loc[key, "name"])), judged, row, defective=defective)
            for run, examples, judged in sides
        ]
        described = ", ".join(part for part in (about["kind"], about["defect"]) if part)
        disputes.append(Dispute(about["name"], LABEL_NAMES[int(about["label_index"])], described, shown))
    return disputes, notes


def examples_of(run: TestedRun, names: set[str]) -> dict[str, Example]:
    """Score and decide some of a run's images again, by its best checkpoint.

    Raises:
        ConfigError: The checkpoint is gone.
        DataError: The images are gone, or have changed.
    """
    module = restore(read_checkpoint(_checkpoint(run))).eval()
    datamodule: InspectionDataModule = build(run.config.data, "data")
    datamodule.use_samples(run.samples[run.samples["name"].isin(names)])
    dataset = datamodule.dataset(datamodule.samples)
    examples, sizes = {}, sizes_of(datamodule.samples)
    for index in range(len(datamodule.samples)):
        with torch.inference_mode():
            batch = module.test_step(collate([dataset[index]]))
        category = categorise(int(batch.label_index[0]), verdict=bool(batch.pred_label[0]))
        example = example_of(batch, 0, category or "nearest")
        examples[batch.name[0]] = in_proportion(example, sizes.get(batch.name[0]), datamodule.fit)
    return examples


def _checkpoint(run: TestedRun) -> str:
    """Return the run's checkpoint; of what ``loupe test`` wrote, that of the run which it tested."""
    best = run.folder.best_checkpoint
    if not best.is_file() and run.config.get("run"):
        tested = str(run.config.run)
        return tested if tested.endswith(".ckpt") else str(RunFolder.open(tested).best_checkpoint)
    return str(best)


def _shown(run: TestedRun, example: Example | None, judged: Judged, row: int, *, defective: bool) -> Shown:
    verdict = bool(judged.verdict_N[row])
    low, high = run.calibration.get("map_range", (0.0, 1.0))
    decimals = score_decimals(float(judged.score_N.min()), float(judged.score_N.max()))
    return Shown(
        score(float(judged.score_N[row]), decimals),
        LABEL_NAMES[DEFECTIVE if verdict else GOOD],
        verdict == defective,
        example,
        (float(low), float(high)),
    )
