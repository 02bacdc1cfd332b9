"""The trivial baseline: how far one number alone would have gone, such as brightness. In real sets, often very far.

Letters: N images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from callbacks.statistics.bootstrap import Estimate, Resampling
from callbacks.statistics.intervals import image_intervals
from datamodules.health.shortcuts import auroc, forms_of, of_number
from datamodules.table import CALIBRATION, DEFECTIVE, GOOD, TEST, UNKNOWN

from .data_problems import numbers_of, with_sizes
from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

BRIGHTNESS = "brightness"
CHOSEN, UNCHOSEN = "chosen on calibration images", "in its better direction"


class Number(NamedTuple):
    """A number of images that is taken for a detector.

    Attributes:
        words: Its name, how it is taken, and in which direction.
        origin: How it was chosen.
        score_N: Its values, higher is worse.
    """

    words: str
    origin: str
    score_N: npt.NDArray[np.float64]


class Baseline(ContextMeasure):
    """Judges the strongest single number on the images that the model is judged on.

    Of all numbers that the doctor knows, as they are, as distances from the median and beside those of their group or
    kind, it is the one that tells the calibration images apart best.
    """

    def result(self) -> Section:
        """``baseline`` of metrics.json; empty where nobody surveyed the images."""
        tested = self.tested
        if tested.samples.empty or BRIGHTNESS not in tested.samples:
            return Section(metrics={"baseline": {}})
        predictions = tested.predictions
        known = (predictions["label_index"] != UNKNOWN).to_numpy()
        number = strongest(with_sizes(tested.samples))
        score_of = dict(zip(tested.samples["name"], number.score_N, strict=True))
        estimates = number_baseline(
            np.array([score_of[name] for name in predictions["name"]])[known],
            predictions["label_index"].to_numpy(np.int64)[known],
            predictions["group"].to_numpy(str)[known],
            tested.resampling,
        )
        if number.origin == CHOSEN:  # its direction is part of the choice
            estimates["separability"] = estimates["image_auroc"]
        return Section(metrics={"baseline": {"number": number.words, "origin": number.origin, **estimates}})


def strongest(samples: pd.DataFrame) -> Number:
    """Choose the number that tells the calibration images apart best; brightness, where they are of one class.

    The usual value is the median of the good images outside the test.

    Args:
        samples: A surveyed sample table.
    """
    label_N = samples["label_index"].to_numpy(np.int64)
    calibration_N = (samples["split"] == CALIBRATION).to_numpy()
    good_N, defective_N = calibration_N & (label_N == GOOD), calibration_N & (label_N == DEFECTIVE)
    if not (good_N.any() and defective_N.any()):
        return Number(BRIGHTNESS, UNCHOSEN, samples[BRIGHTNESS].to_numpy(np.float64))
    usual_N = (label_N == GOOD) & (samples["split"] != TEST).to_numpy()
    forms = forms_of(numbers_of(samples), usual_N)
    auroc_of = {name: auroc(value[good_N], value[defective_N]) for name, value in forms.items()}
    name = max(
        auroc_of, key=lambda one: max(auroc_of[one], 1 - auroc_of[one])
    )  # of equals the first, and so the plainest
    bare, how = of_number(name)
    lower = auroc_of[name] < 0.5
    words = f"{bare}{', ' if how else ''}{how}, {'lower' if lower else 'higher'} on defective ones"
    return Number(words, CHOSEN, -forms[name] if lower else forms[name])


def number_baseline(
    score_N: npt.NDArray[np.float64],
    label_N: npt.NDArray[np.int64],
    group_N: npt.NDArray[np.str_],
    resampling: Resampling,
) -> dict[str, Estimate]:
    """Take a number of each image, such as its brightness, for its score, and judge it as a detector's.

    Returns:
        ``image_auroc``, ``image_ap`` and ``image_f1_max`` of the number as it is, where an AUROC near 0 separates as
        well as one near 1; ``separability``, the AUROC of the better direction; and ``image_f1_flag_all``, the F1 of
        calling every image defective.
    """
    estimates = image_intervals(score_N, label_N, group_N, resampling=resampling)
    ranked = estimates["auroc"]
    everything = image_intervals(np.zeros_like(score_N), label_N, group_N, threshold=0.0, resampling=resampling)
    return {
        "image_auroc": ranked,
        "image_ap": estimates["average_precision"],
        "image_f1_max": estimates["best_f1"],
        "separability": flipped(ranked) if ranked.value < 0.5 else ranked,
        "image_f1_flag_all": everything["f1"],
    }


def flipped(estimate: Estimate) -> Estimate:
    """Read an AUROC in the other direction."""
    return Estimate(1 - estimate.value, 1 - estimate.high, 1 - estimate.low)
