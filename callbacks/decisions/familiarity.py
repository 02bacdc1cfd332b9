"""Images unlike those of the training: what calibration notes, and what a test makes of it.

Letters: N images of a batch, H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from callbacks.statistics.examined import FORGOTTEN
from callbacks.statistics.novelty import FACTS, FEWEST
from callbacks.statistics.usual import LEVEL, Usual
from datamodules.table import CALIBRATION, DEFECTIVE, GOOD, TRAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from torch import Tensor


class Familiarity(NamedTuple):
    """What a test found of images unlike those of the training.

    Attributes:
        reasons: Of each image, in the order of its table: which facts are unusual; empty where none is.
        metrics: A section of metrics.json.
        notes: Sentences that a reader must not miss.
    """

    reasons: list[str]
    metrics: dict[str, Any]
    notes: list[str]


def map_medians(map_NHW: Tensor) -> list[float]:
    """Return the median of each map; of an even number of pixels, the lower one of the middle."""
    medians: list[float] = map_NHW.flatten(1).float().median(dim=1)[0].tolist()
    return medians


def learn_usual(samples: pd.DataFrame, median_of: Mapping[str, float], line: tuple[float, float]) -> Usual:
    """Learn what is usual from a run's images: good and unlabelled ones of training, good ones of calibration.

    Args:
        samples: The sample table, surveyed.
        median_of: Of calibration images, by name: the median of the map.
        line: The raw map value that is usual, and the pixel threshold.
    """
    trained = (samples["split"] == TRAIN) & (samples["label_index"] != DEFECTIVE)
    calibrated = (samples["split"] == CALIBRATION) & (samples["label_index"] == GOOD)
    rows = samples[trained | calibrated]
    # A model has learned from training images: their maps are lower than those of any other image.
    told = np.isfinite(line).all() and line[1] > line[0]
    medians = rows["name"].where(rows["split"] == CALIBRATION).map(dict(median_of)).astype(np.float64)
    columns = {name: rows[name].tolist() for name in FACTS if name in rows}
    if told:
        columns[LEVEL] = ((medians - line[0]) / (line[1] - line[0])).tolist()
    return Usual.learn(columns, rows["group"].tolist(), rows["kind"].tolist(), line if told else None)


def examine_test(
    usual: Usual | None, predictions: pd.DataFrame, samples: pd.DataFrame, median_of: Mapping[str, float]
) -> Familiarity:
    """Examine test images; where enough are known to be good, those alone decide whether the set differs.

    Args:
        usual: What the model noted; None where it noted nothing.
        predictions: Of the test.
        samples: The sample table, surveyed.
        median_of: The median of each image's map, by name.
    """
    if usual is None or samples.empty:
        return Familiarity([""] * len(predictions), {}, [] if samples.empty else [FORGOTTEN])
    about = samples.set_index("name").reindex(predictions["name"])
    columns = {name: about[name].astype(float).tolist() for name in FACTS if name in about}
    if usual.level_range is not None:
        low, high = usual.level_range
        columns[LEVEL] = [(median_of[name] - low) / (high - low) for name in predictions["name"]]
    facts = [{name: values[row] for name, values in columns.items()} for row in range(len(predictions))]
    good_N = (predictions["label_index"] == GOOD).tolist()
    found = usual.examine(
        facts,
        predictions["group"].tolist(),
        predictions["name"].tolist(),
        predictions["kind"].tolist(),
        good_N if sum(good_N) >= FEWEST else None,
    )
    notes = [usual.note] if usual.note else found.sentences()
    return Familiarity([usual.judge(one) for one in facts], found.to_dict(), notes)
