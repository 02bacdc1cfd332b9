"""The order of cells from the most to the least consistent with their array.

By default that is likeness to the array's reference, which ranked best on drawn and real arrays; local outlier factor
(Breunig et al. 2000) and isolation forest (Liu et al. 2008) over all features are options.

Letters: N cells, F features.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor

Floats = npt.NDArray[np.floating]
Ranking = Literal["likeness", "lof", "isolation_forest"]

NEIGHBOURS = 20  # of the local outlier factor, as in the notebook
WIDEST = 8.0  # robust standard deviations beyond which a feature says no more
OUTLIER_END = 4.5  # robust standard deviations of likeness from which a cell is an outlier


def inconsistency(
    feature_NF: Floats, likeness_N: Floats, by: Ranking, seed: int = 0
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return how inconsistent every cell of one array is, higher is worse, and which cells are outliers.

    Args:
        feature_NF: Of one array; scaled here, by its own medians.
        likeness_N: Correlation with the array's reference.
        by: What orders the cells.
        seed: Of the isolation forest.
    """
    if by == "likeness" or len(feature_NF) < 3:
        # Fisher's transform: the spread of correlations near 1 becomes that of the others.
        score_N = -np.arctanh(np.clip(likeness_N, -0.999, 0.999999))
        return score_N, robust(score_N[:, None])[:, 0] >= OUTLIER_END
    scaled_NF = np.clip(robust(feature_NF), -WIDEST, WIDEST)
    if by == "lof":
        factor = LocalOutlierFactor(min(NEIGHBOURS, len(feature_NF) - 1))
        return -factor.fit(scaled_NF).negative_outlier_factor_, factor.fit_predict(scaled_NF) < 0
    forest = IsolationForest(random_state=seed).fit(scaled_NF)
    return -forest.score_samples(scaled_NF), forest.predict(scaled_NF) < 0


def robust(value_NF: Floats) -> Floats:
    """Return columns in robust standard deviations from their medians; a column of one value becomes zero."""
    away = value_NF - np.median(value_NF, axis=0)
    spread = 1.4826 * np.median(np.abs(away), axis=0)
    return np.asarray(np.where(spread > 0, away / np.where(spread > 0, spread, 1), 0.0))
