"""The first of two stages: which images it passes, and the threshold by which it does.

Letters: N calibration images.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING

import torch

from datamodules.errors import DataError
from datamodules.table import DEFECTIVE, GOOD

if TYPE_CHECKING:
    from torch import Tensor

PASSED = -1.0  # the score of an image that was not inspected; one that was, and on which nothing was found, scores 0


@dataclass(frozen=True)
class Screening:
    """The threshold of the first stage, and what it rests on.

    Attributes:
        value: An image is inspected where its screening score reaches it.
        promise: What that did to the calibration images, in a sentence.
        n_good: Good calibration images.
        n_defective: Defective ones.
    """

    value: float
    promise: str
    n_good: int
    n_defective: int


def choose_screening(score_N: Tensor, label_N: Tensor, recall: float, pass_share: float) -> Screening:
    """Choose what is inspected: enough of the defective calibration images, and not all of the good ones.

    Args:
        score_N: Raw screening scores.
        label_N: 0 good, 1 defective, -1 unknown and ignored.
        recall: Share of the defective images that must be inspected, in (0, 1].
        pass_share: Share of the good images that are passed at most, in [0, 1].

    Returns:
        The lower of the two thresholds that follow, so that neither is broken; that of one where only one is known.

    Raises:
        DataError: No image is labelled.
    """
    good, defective = score_N[label_N == GOOD].sort().values, score_N[label_N == DEFECTIVE].sort(descending=True).values
    thresholds = []
    if len(good):
        passed = floor(round(pass_share * len(good), 6))
        thresholds.append(good[passed] if passed < len(good) else torch.nextafter(good[-1], good.new_tensor(torch.inf)))
    if len(defective):
        thresholds.append(defective[ceil(round(recall * len(defective), 6)) - 1])
    if not thresholds:
        raise DataError(
            "Expected labelled calibration pictures to choose by what the screening passes, but found none; label some."
        )
    threshold = torch.stack(thresholds).min()
    promise = (
        f"The screening passes {int((good < threshold).sum())} of {len(good)} good calibration pictures, and "
        f"{int((defective < threshold).sum())} of {len(defective)} defective ones."
    )
    return Screening(float(threshold), promise, len(good), len(defective))
