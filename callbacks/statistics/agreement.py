"""How far two people agree beyond chance: Cohen's kappa, with its interval.

Cohen, Educ. Psychol. Meas. 20 (1960); the large-sample error by Fleiss, Cohen and Everitt, Psychol. Bull. 72 (1969).

Shape letters: K categories; counts (K, K) hold how often the first person said the row and the second the column.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Agreement(NamedTuple):
    """How far two people agree.

    Attributes:
        decided: Images that both decided.
        agreement: Share of them of which they say the same; NaN of none.
        kappa: 1: always, 0: as chance alone would have it, below 0: less; NaN where both said one and the same of all.
        low: Lower end of the interval of kappa, at least -1.
        high: Upper end, at most 1.
    """

    decided: int
    agreement: float
    kappa: float
    low: float
    high: float


def cohen_kappa(counts_KK: npt.ArrayLike, confidence: float = 0.95) -> Agreement:
    """Compute Cohen's kappa from counts.

    Args:
        counts_KK: How often the first person said the row and the second the column.
        confidence: Coverage that the interval aims at, in (0, 1).

    Raises:
        ValueError: The counts are not square, or below 0.
    """
    counts = np.asarray(counts_KK, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or (counts < 0).any():
        raise ValueError(f"Expected square counts of at least 0, but got shape {counts.shape}.")
    total = counts.sum()
    if not total:
        return Agreement(0, math.nan, math.nan, math.nan, math.nan)
    share = counts / total
    row, column = share.sum(axis=1), share.sum(axis=0)
    observed, chance = float(np.trace(share)), float(row @ column)
    if chance == 1:
        return Agreement(int(total), observed, math.nan, math.nan, math.nan)
    kappa = (observed - chance) / (1 - chance)
    width = NormalDist().inv_cdf(0.5 + confidence / 2) * _error(share, kappa, chance, int(total))
    return Agreement(int(total), observed, kappa, max(-1.0, kappa - width), min(1.0, kappa + width))


def _error(share_KK: npt.NDArray[np.float64], kappa: float, chance: float, total: int) -> float:
    """Return the standard error of kappa (Fleiss, Cohen and Everitt 1969, equation 13)."""
    row, column = share_KK.sum(axis=1), share_KK.sum(axis=0)
    same = np.diag(share_KK) @ (1 - (row + column) * (1 - kappa)) ** 2
    apart = share_KK * (column[:, None] + row[None, :]) ** 2
    other = (1 - kappa) ** 2 * (apart.sum() - np.trace(apart))
    variance = same + other - (kappa - chance * (1 - kappa)) ** 2
    return math.sqrt(max(0.0, float(variance))) / ((1 - chance) * math.sqrt(total))
