"""The page of a test: what it shows, gathered from the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from callbacks.measures.atlas import Atlas
from callbacks.report.content import ReportContent
from callbacks.report.embeddings import embedding_maps
from datamodules.table import count_by_split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from callbacks.decisions.calibration import Calibration
    from callbacks.measures.learning import Rows
    from callbacks.measures.results import Results
    from datamodules.base import InspectionDataModule


def report_content(
    config: DictConfig,
    results: Results,
    calibration: Calibration,
    datamodule: InspectionDataModule,
    environment: dict[str, Any],
    notes: Sequence[str],
    history: Rows,
) -> ReportContent:
    """Gather what the report shows."""
    scores = pd.DataFrame(
        [(seen.score, seen.label_index) for seen in calibration.scores], columns=["score", "label_index"]
    )
    atlas = results.figure(Atlas)
    return ReportContent(
        title=f"{config.choices.model} on {subject(config)}",
        metrics=results.metrics,
        predictions=results.predictions,
        calibration=calibration.summary(),
        calibration_scores=scores,
        counts=count_by_split(datamodule.samples),
        excluded=datamodule.excluded,
        environment=environment,
        config=OmegaConf.to_yaml(config, resolve=True),
        map_range=calibration.map_range,
        warnings=tuple(notes),
        tables=results.tables,
        figures=results.figures,
        files=tuple(results.files),
        maps=embedding_maps(None if atlas is None else atlas.embedding_AD, config.seed),
        confidence=config.callbacks.evaluation.confidence,
        history=history,
    )


def subject(config: DictConfig) -> str:
    """Name the images: their domain where they are drawn, their folder where they are not."""
    choice: str = config.choices.data
    name: str = config.data.get("domain") or Path(config.data.root).resolve().name
    return name if choice in {name, "folder"} else f"{choice} {name}"
