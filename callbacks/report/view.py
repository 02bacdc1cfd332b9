"""What the parts of the report share, computed once: the confusion, thresholds, the axis of scores, and the figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd

from callbacks.measures.atlas import Atlas
from callbacks.measures.figures import DefectFigures, Examples
from callbacks.measures.images import THRESHOLDS

from .charts.score_figure import ScoreSet
from .charts.svg import padded_range
from .facts import Confusion, confusion, kind_thresholds, threshold_of
from .wording import score, score_decimals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from callbacks.measures.examples import Example

    from .content import ReportContent

F = TypeVar("F")


@dataclass(frozen=True)
class ReportView:
    """A report's content, and what several of its parts need to know of it.

    Attributes:
        content: Of the report.
        counts: How the labelled test images were judged.
        threshold: For images of any kind, in raw score units; NaN without one.
        of_kinds: Thresholds of the kinds that have their own.
        pixel_threshold: For pixels of any image, in raw map units; None without one.
        test: Scores of the labelled test images.
        calibration: Scores of the labelled calibration images.
        limits: Of the axis of scores: test, calibration and threshold lie within.
        axis_decimals: That tell places on that axis apart.
        decimals: That tell the scores of test images apart.
        threshold_table: As in sweep.csv; empty without one.
        atlas: Thumbnails of test images; None without.
        defects: Marked defects and where any were found; None without.
        examples: Worst first in each category.
    """

    content: ReportContent
    counts: Confusion
    threshold: float
    of_kinds: Mapping[str, float]
    pixel_threshold: float | None
    test: ScoreSet
    calibration: ScoreSet
    limits: tuple[float, float]
    axis_decimals: int
    decimals: int
    threshold_table: pd.DataFrame
    atlas: Atlas | None
    defects: DefectFigures | None
    examples: tuple[Example, ...]

    @classmethod
    def of(cls, content: ReportContent) -> ReportView:
        """Compute what the parts share."""
        image, pixel = (threshold_of(content.calibration, level) for level in ("image", "pixel"))
        threshold = float("nan") if image is None else float(image["value"])
        test, calibration = scores_of(content.predictions), scores_of(content.calibration_scores)
        shown = np.concatenate([test.good, test.defective, calibration.good, calibration.defective])
        limits = padded_range([*shown.tolist(), threshold])
        all_scores = content.predictions["score"]
        examples = figure_of(content, Examples)
        return cls(
            content,
            confusion(content.predictions),
            threshold,
            kind_thresholds(content.calibration),
            None if pixel is None else float(pixel["value"]),
            test,
            calibration,
            limits,
            score_decimals(*limits),
            score_decimals(float(all_scores.min()), float(all_scores.max())),
            content.tables.get(THRESHOLDS, pd.DataFrame()),
            figure_of(content, Atlas),
            figure_of(content, DefectFigures),
            () if examples is None else examples.members,
        )

    def threshold_of(self, kind: str) -> float:
        """Return the threshold that images of a kind were judged by."""
        return self.of_kinds.get(kind, self.threshold)

    @property
    def written_threshold(self) -> str:
        """The threshold as a person reads it beside the axis of scores."""
        return score(self.threshold, self.axis_decimals)


def figure_of(content: ReportContent, kind: type[F]) -> F | None:
    """Return the first figure of a kind; None where there is none."""
    return next((figure for figure in content.figures if isinstance(figure, kind)), None)


def scores_of(table: pd.DataFrame) -> ScoreSet:
    """Return scores by label; images without one are left out."""
    score_N = table["score"].to_numpy(dtype=np.float64)
    label_N = table["label_index"].to_numpy()
    return ScoreSet(score_N[label_N == 0], score_N[label_N == 1])
