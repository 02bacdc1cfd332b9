"""What a report is made of: plain tables, numbers and pictures, with no idea of models or trainers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from callbacks.measures.atlas import Atlas
    from callbacks.measures.examples import Example
    from callbacks.measures.learning import Rows

    from .embeddings import EmbeddingMap


@dataclass(frozen=True)
class ReportContent:
    """Everything that the page shows.

    Attributes:
        title: For example ``fiber, PatchCore``.
        metrics: As in metrics.json: ``test`` and ``baseline`` map names to ``value``, ``low`` and ``high`` (None where
            undefined); ``pictures`` counts; ``training`` says which epoch was kept. Any other section becomes a table.
        predictions: As in predictions.csv: ``name, image_path, label_index, score, verdict, kind, group, defect``.
        sweep: As in sweep.csv: ``threshold, tp, fp, tn, fn, precision, recall, f1`` at every distinct test score.
        calibration: As in calibration.json: ``image`` and ``pixel`` thresholds by scope, with policy and promise.
        calibration_scores: ``score`` and ``label_index`` of the calibration pictures.
        counts: Pictures by split (rows) and label (columns), and groups.
        excluded: What was left out: ``path, problem, remedy``.
        environment: As in environment.json.
        config: The resolved config, as YAML.
        map_range: Raw map values that the darkest and brightest colour stand for.
        warnings: Sentences that a reader must not miss, such as untrained features.
        examples: Worst first in each category.
        atlas: Thumbnails of the test pictures, or of a draw of them; None without.
        maps: Where its pictures lie among each other.
        marked: One row per marked defect: ``side`` in pixels on disk, and ``found``; None where none is marked.
        heat_map: (H, W) in how many pictures a defect was found at each pixel; None where there are none.
        confidence: Of all intervals, in (0, 1).
        history: Every logged value by epoch, as in history.csv; empty where there is none, or there are no epochs.
    """

    title: str
    metrics: Mapping[str, Any]
    predictions: pd.DataFrame
    sweep: pd.DataFrame
    calibration: Mapping[str, Any]
    calibration_scores: pd.DataFrame
    counts: pd.DataFrame
    excluded: pd.DataFrame
    environment: Mapping[str, Any]
    config: str
    map_range: tuple[float, float]
    warnings: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    atlas: Atlas | None = None
    maps: tuple[EmbeddingMap, ...] = ()
    marked: pd.DataFrame | None = None
    heat_map: npt.NDArray[np.int64] | None = None
    confidence: float = 0.95
    history: Rows = field(default_factory=dict)
