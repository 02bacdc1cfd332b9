"""Images unlike those of the training: what calibration notes, and what a test makes of it.

Letters: N images of a batch, H and W pixels.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from callbacks.statistics.cloud import Cloud, left_out
from callbacks.statistics.examined import FORGOTTEN
from callbacks.statistics.novelty import FACTS, FEWEST
from callbacks.statistics.usual import EMBEDDING, LEVEL, Usual
from datamodules.table import CALIBRATION, DEFECTIVE, GOOD, TRAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
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


def map_medians(map_NHW: Tensor, inside_NHW: Tensor | None = None) -> list[float]:
    """Return the median of each map; of an even number of pixels, the lower one of the middle.

    Args:
        map_NHW: Raw maps.
        inside_NHW: Where each shows what counts of its image, and no padding; None: everywhere.
    """
    if inside_NHW is not None:
        pairs = zip(map_NHW, inside_NHW, strict=True)
        return [float(map_HW[inside_HW].float().median()) for map_HW, inside_HW in pairs]
    medians: list[float] = map_NHW.flatten(1).float().median(dim=1)[0].tolist()
    return medians


def learn_cloud(
    samples: pd.DataFrame, embedding_of: Mapping[str, npt.NDArray[np.float32]]
) -> tuple[Cloud | None, dict[str, float]]:
    """Learn where embeddings of good calibration images lie, and how far out each lies for those of other groups.

    Args:
        samples: The sample table.
        embedding_of: Of calibration images, by name.

    Returns:
        None, and nothing, where too few groups tell.
    """
    names = sorted(embedding_of)
    embedding_ND = np.stack([embedding_of[name] for name in names]) if names else np.empty((0, 1), np.float32)
    if len(names) < FEWEST or not np.isfinite(embedding_ND).all():
        return None, {}
    group_N = samples.set_index("name")["group"].reindex(names).to_numpy(str)
    distances = left_out(embedding_ND, np.unique(group_N, return_inverse=True)[1].astype(np.int64))
    if not np.isfinite(distances).any():
        return None, {}
    return Cloud.fit(embedding_ND), dict(zip(names, distances, strict=True))


def learn_usual(
    samples: pd.DataFrame,
    median_of: Mapping[str, float],
    span: tuple[float, float],
    distance_of: Mapping[str, float] = MappingProxyType({}),
) -> Usual:
    """Learn what is usual from a run's images: good and unlabelled ones of training, good ones of calibration.

    Args:
        samples: The sample table, surveyed.
        median_of: Of calibration images, by name: the median of the map.
        span: The raw map value that is usual, and the pixel threshold.
        distance_of: Of calibration images, by name: how far out their embeddings lie.
    """
    trained = (samples["split"] == TRAIN) & (samples["label_index"] != DEFECTIVE)
    calibrated = (samples["split"] == CALIBRATION) & (samples["label_index"] == GOOD)
    rows = samples[trained | calibrated]
    # A model has learned from training images: their maps are lower than those of any other image.
    known = np.isfinite(span).all() and span[1] > span[0]
    medians = rows["name"].where(rows["split"] == CALIBRATION).map(dict(median_of)).astype(np.float64)
    columns = {name: rows[name].tolist() for name in FACTS if name in rows}
    if known:
        columns[LEVEL] = ((medians - span[0]) / (span[1] - span[0])).tolist()
    if distance_of:
        columns[EMBEDDING] = rows["name"].map(dict(distance_of)).astype(np.float64).tolist()
    return Usual.learn(columns, rows["group"].tolist(), rows["kind"].tolist(), span if known else None)


def examine_test(
    usual: Usual | None,
    predictions: pd.DataFrame,
    samples: pd.DataFrame,
    median_of: Mapping[str, float],
    distance_of: Mapping[str, float] = MappingProxyType({}),
) -> Familiarity:
    """Examine test images; where enough are known to be good, those alone decide whether the set differs.

    Args:
        usual: What the model noted; None where it noted nothing.
        predictions: Of the test.
        samples: The sample table, surveyed.
        median_of: The median of each image's map, by name.
        distance_of: How far out each image's embedding lies, by name, where the model has one.
    """
    if usual is None or samples.empty:
        return Familiarity([""] * len(predictions), {}, [] if samples.empty else [FORGOTTEN])
    about = samples.set_index("name").reindex(predictions["name"])
    columns = {name: about[name].astype(float).tolist() for name in FACTS if name in about}
    if usual.level_range is not None:
        low, high = usual.level_range
        columns[LEVEL] = [(median_of[name] - low) / (high - low) for name in predictions["name"]]
    if distance_of:
        columns[EMBEDDING] = [distance_of[name] for name in predictions["name"]]
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
