"""The trivial baseline: how far brightness alone would have gone. In real sets it goes far surprisingly often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from callbacks.statistics.bootstrap import Estimate, Resampling
from callbacks.statistics.intervals import image_intervals
from datamodules.table import UNKNOWN

from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    import numpy.typing as npt


class Baseline(ContextMeasure):
    """Judges brightness on the images that the model is judged on."""

    def result(self) -> Section:
        """``baseline`` of metrics.json; empty where nobody surveyed the images."""
        tested = self.tested
        if tested.samples.empty:
            return Section(metrics={"baseline": {}})
        predictions = tested.predictions
        known = (predictions["label_index"] != UNKNOWN).to_numpy()
        estimates = brightness_baseline(
            tested.about["brightness"].to_numpy(np.float64)[known],
            predictions["label_index"].to_numpy(np.int64)[known],
            predictions["group"].to_numpy(str)[known],
            tested.resampling,
        )
        return Section(metrics={"baseline": estimates})


def brightness_baseline(
    brightness_N: npt.NDArray[np.float64],
    label_N: npt.NDArray[np.int64],
    group_N: npt.NDArray[np.str_],
    resampling: Resampling,
) -> dict[str, Estimate]:
    """Take each image's mean brightness, in [0, 1], for its score, and judge it as a detector's.

    Returns:
        ``image_auroc``, ``image_ap`` and ``image_f1_max`` of brightness as it is, where an AUROC near 0 separates as
        well as one near 1; ``separability``, the AUROC of the better direction; and ``image_f1_flag_all``, the F1 of
        calling every image defective.
    """
    estimates = image_intervals(brightness_N, label_N, group_N, resampling=resampling)
    auroc = estimates["auroc"]
    everything = image_intervals(np.zeros_like(brightness_N), label_N, group_N, threshold=0.0, resampling=resampling)
    return {
        "image_auroc": auroc,
        "image_ap": estimates["average_precision"],
        "image_f1_max": estimates["best_f1"],
        "separability": flipped(auroc) if auroc.value < 0.5 else auroc,
        "image_f1_flag_all": everything["f1"],
    }


def flipped(estimate: Estimate) -> Estimate:
    """Read an AUROC in the other direction."""
    return Estimate(1 - estimate.value, 1 - estimate.high, 1 - estimate.low)
