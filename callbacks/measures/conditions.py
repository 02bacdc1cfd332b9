"""Whether mistakes go with how images were taken: shares of wrong verdicts by brightness, contrast and sharpness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from callbacks.statistics.bootstrap import Estimate, wilson
from datamodules.table import DEFECTIVE, LABEL_NAMES, UNKNOWN

from .figures import Chart, Line
from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    import numpy.typing as npt

FACTS = ("brightness", "contrast", "sharpness")
THIRDS = ("lowest third", "middle third", "highest third")
CENTRES = (1 / 6, 1 / 2, 5 / 6)  # of the thirds, as shares of all images
FEWEST = 30  # labelled images: fewer say nothing of a third


class Conditions(ContextMeasure):
    """Sorts the labelled test images by what the survey found of each, and counts the wrong verdicts in every third."""

    def result(self) -> Section:
        """Return shares and a chart; nothing of fewer than 30 labelled images, or where nobody surveyed them."""
        predictions, samples = self.tested.predictions, self.tested.samples
        known_N = (predictions["label_index"] != UNKNOWN).to_numpy()
        facts = [fact for fact in FACTS if fact in samples]
        if known_N.sum() < FEWEST or not facts:
            return Section()
        called_N = (predictions["verdict"] == LABEL_NAMES[DEFECTIVE]).to_numpy()
        wrong_N = (called_N != (predictions["label_index"] == DEFECTIVE).to_numpy())[known_N]
        about, confidence = self.tested.about[known_N], self.tested.resampling.confidence
        rows = {fact: wrong_by_third(about[fact].to_numpy(np.float64), wrong_N, confidence) for fact in facts}
        lines = [Line(fact, CENTRES, [row[third].value for third in THIRDS]) for fact, row in rows.items()]
        return Section(metrics={"wrong_verdicts_by_condition": rows}, figures=[_chart(lines)])


def wrong_by_third(
    value_N: npt.NDArray[np.float64], wrong_N: npt.NDArray[np.bool_], confidence: float
) -> dict[str, Estimate]:
    """Divide images into three groups of like size by a value, and estimate the share of wrong verdicts in each.

    Args:
        value_N: Of each image, finite; at least three.
        wrong_N: Whether each was judged wrongly.
        confidence: Of the intervals, which are Wilson's, image by image.
    """
    thirds = np.array_split(wrong_N[np.argsort(value_N, kind="stable")], len(THIRDS))
    shares = [float(third.mean()) for third in thirds]
    ranges = [wilson(share, len(third), confidence) for share, third in zip(shares, thirds, strict=True)]
    return {name: Estimate(share, *ends) for name, share, ends in zip(THIRDS, shares, ranges, strict=True)}


def _chart(lines: list[Line]) -> Chart:
    return Chart(
        "Wrong verdicts by how images were taken",
        "place among all images, lowest value first",
        "share of wrong verdicts",
        lines,
        "A line that rises or falls: images that were taken in one way are judged worse than others.",
    )
