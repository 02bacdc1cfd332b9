"""The table of thresholds: what each possible threshold would have done to the images at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .curves import ScoreCounts, at_or_above, count_scores, f_score, ratio

if TYPE_CHECKING:
    import numpy.typing as npt


def precision_recall_f1(score_N: npt.ArrayLike, label_N: npt.ArrayLike) -> pd.DataFrame:
    """Precision, recall and F1 of ``score >= threshold`` at every distinct score, in O(N log N).

    No other threshold can do anything else: between two neighbouring scores the decisions do not change.

    Args:
        score_N: Raw scores, higher is worse, unbounded; infinities are allowed, NaN is not.
        label_N: 0 good, 1 defective, -1 unknown; unknown images are left out.

    Returns:
        One row per distinct score, ascending, with ``threshold`` (float64), ``tp``, ``fp``, ``tn``, ``fn`` (int64) and
        ``precision``, ``recall``, ``f1`` (float64, in [0, 1]). Precision is always defined, since each threshold calls
        at least one image defective. Where no image is defective, recall and F1 are 0/0 and given as NaN.

    Raises:
        ValueError: Where shapes differ, a score is NaN, or a label is none of the three.
    """
    return threshold_table(count_scores(score_N, label_N))


def threshold_table(counts: ScoreCounts, most_rows: int | None = None) -> pd.DataFrame:
    """Return the same table from counts per distinct score, or per bin as a pixel histogram gives them.

    Args:
        counts: (T,) each, without leading axes.
        most_rows: Keep at most so many rows, evenly spaced, the first and the last among them; None keeps all. What is
            kept stays exact.
    """
    tp, fp = at_or_above(counts.positive), at_or_above(counts.negative)
    positives, negatives = counts.positive.sum(), counts.negative.sum()
    table = pd.DataFrame({"threshold": counts.threshold})
    table[["tp", "fp", "tn", "fn"]] = pd.DataFrame({0: tp, 1: fp, 2: negatives - fp, 3: positives - tp}).astype("int64")
    table["precision"] = ratio(tp, tp + fp)
    table["recall"] = ratio(tp, positives)
    table["f1"] = f_score(counts.negative, counts.positive)
    if most_rows is None or len(table) <= most_rows:
        return table
    chosen = np.unique(np.linspace(0, len(table) - 1, most_rows).astype(int))
    return table.iloc[chosen].reset_index(drop=True)
