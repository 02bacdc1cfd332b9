"""What a report is made of: plain tables, numbers and images, with no idea of models or trainers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from callbacks.measures.figures import Figure
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
        calibration: As in calibration.json: ``image`` and ``pixel`` thresholds by scope, with policy and promise.
        calibration_scores: ``score`` and ``label_index`` of the calibration images.
        counts: Images by split (rows) and label (columns), and groups.
        excluded: What was left out: ``path, problem, remedy``.
        environment: As in environment.json.
        config: The resolved config, as YAML.
        map_range: Raw map values that the darkest and brightest colour stand for.
        warnings: Sentences that a reader must not miss, such as untrained features.
        tables: Of all measures, by name, such as ``defects``.
        figures: Of all measures.
        files: Names of the other files that measures wrote.
        maps: Where the images of the atlas lie among each other.
        confidence: Of all intervals, in (0, 1).
        history: Every logged value by epoch, as in history.csv; empty where there is none, or there are no epochs.
    """

    title: str
    metrics: Mapping[str, Any]
    predictions: pd.DataFrame
    calibration: Mapping[str, Any]
    calibration_scores: pd.DataFrame
    counts: pd.DataFrame
    excluded: pd.DataFrame
    environment: Mapping[str, Any]
    config: str
    map_range: tuple[float, float]
    warnings: tuple[str, ...] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: Sequence[Figure] = ()
    files: Sequence[str] = ()
    maps: tuple[EmbeddingMap, ...] = ()
    confidence: float = 0.95
    history: Rows = field(default_factory=dict)
