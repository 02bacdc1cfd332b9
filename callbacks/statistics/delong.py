"""How certain an AUROC is, and whether two of them differ: DeLong's variance, in its fast form, for clustered data too.

Each defective sample's *placement* is the share of good samples that it outranks (ties count half), and each good
sample's is the share of defective ones that outrank it. The AUROC is the mean of either kind, and its variance follows
from how much the placements vary. Midranks give all placements in O(N log N), where the definition takes O(N^2).

Where samples come in groups (tiles of one part, frames of one sequence) placements are summed within each group, and
the groups vary (Obuchowski). With one sample per group that is DeLong's variance exactly.

Sources: DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988, pp. 837-845; Sun and Xu, IEEE Signal Processing Letters
21, 2014, pp. 1389-1393 (midranks); Obuchowski, Biometrics 53, 1997, pp. 567-578 (groups).

Shape letters: K detectors on the same samples, N samples, P of them defective, Q good, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from .curves import labelled

if TYPE_CHECKING:
    from .curves import FloatArray


@dataclass(frozen=True)
class AurocTest:
    """Whether two AUROCs on the same samples differ.

    Attributes:
        difference: First less second.
        low: Lower end of the interval of the difference.
        high: Upper end.
        p_value: Two-sided; 1 where the detectors rank alike, NaN where a class is missing.
    """

    difference: float
    low: float
    high: float
    p_value: float


def auroc_covariance(
    score_KN: npt.ArrayLike, label_N: npt.ArrayLike, group_N: npt.ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    """AUROC of each detector, and the covariance of their estimates.

    Args:
        score_KN: Raw scores of K detectors on the same samples, higher is worse.
        label_N: 0 good, 1 defective, -1 unknown; unknown samples are left out.
        group_N: Group of each sample; None where samples stand alone.

    Returns:
        (K,) AUROCs and their (K, K) covariance. NaN where a class is missing; the covariance also where either class
        has a single group, from which no spread can be told.

    Raises:
        ValueError: See `callbacks.statistics.curves.labelled`.
    """
    scores = [labelled(score_N, label_N)[0] for score_N in np.atleast_2d(np.asarray(score_KN, dtype=np.float64))]
    known = np.asarray(label_N) != -1
    label = np.asarray(label_N)[known].astype(bool)
    names = np.arange(known.sum()) if group_N is None else np.asarray(group_N)[known]
    groups, group = np.unique(names, return_inverse=True)
    if label.all() or not label.any():
        return np.full(len(scores), np.nan), np.full((len(scores), len(scores)), np.nan)
    score_KP, score_KQ = np.stack(scores)[:, label], np.stack(scores)[:, ~label]
    place_KP, place_KQ = placements(score_KP, score_KQ)
    auroc_K = place_KP.mean(axis=1)
    defective_KG = _summed(place_KP - auroc_K[:, None], group[label], groups.size) / place_KP.shape[1]
    good_KG = _summed(place_KQ - auroc_K[:, None], group[~label], groups.size) / place_KQ.shape[1]
    with_defective, with_good = (np.unique(group[of]).size for of in (label, ~label))
    cross_KK = defective_KG @ good_KG.T
    covariance_KK = (
        _unbiased(with_defective) * (defective_KG @ defective_KG.T)
        + _unbiased(with_good) * (good_KG @ good_KG.T)
        + _unbiased(groups.size) * (cross_KK + cross_KK.T)
    )
    return auroc_K, covariance_KK


def placements(score_KP: FloatArray, score_KQ: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return placements of defective (K, P) and good (K, Q) samples in [0, 1]; both have the AUROC for their mean."""
    positives, negatives = score_KP.shape[1], score_KQ.shape[1]
    rank_KN = rankdata(np.concatenate([score_KP, score_KQ], axis=1), axis=1)
    place_KP = (rank_KN[:, :positives] - rankdata(score_KP, axis=1)) / negatives
    place_KQ = 1 - (rank_KN[:, positives:] - rankdata(score_KQ, axis=1)) / positives
    return np.asarray(place_KP, dtype=np.float64), np.asarray(place_KQ, dtype=np.float64)


def compare_aurocs(
    first_N: npt.ArrayLike,
    second_N: npt.ArrayLike,
    label_N: npt.ArrayLike,
    group_N: npt.ArrayLike | None = None,
    confidence: float = 0.95,
) -> AurocTest:
    """Test whether two detectors differ in AUROC on the same samples.

    The normal approximation wants some 20 samples (groups) of each class; where both detectors separate perfectly, or
    rank alike, there is no variance and the p value is 1.

    Arguments as in `auroc_covariance`; ``confidence`` is that of the interval, in (0, 1).
    """
    auroc_K, covariance_KK = auroc_covariance(np.stack([np.asarray(first_N), np.asarray(second_N)]), label_N, group_N)
    difference = float(auroc_K[0] - auroc_K[1])
    variance = float(covariance_KK[0, 0] + covariance_KK[1, 1] - 2 * covariance_KK[0, 1])
    if np.isnan(variance):
        return AurocTest(difference, float("nan"), float("nan"), float("nan"))
    deviation = sqrt(max(variance, 0.0))
    if deviation < 1e-12:  # equal ranks leave rounding errors only
        return AurocTest(difference, difference, difference, 1.0 if abs(difference) < 1e-12 else 0.0)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * deviation
    p_value = erfc(abs(difference) / deviation / sqrt(2))
    return AurocTest(difference, max(difference - half, -1.0), min(difference + half, 1.0), p_value)


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Adjust p values for having asked several questions; NaN is not a question and stays NaN.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    given = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(given.shape, np.nan)
    order = np.argsort(given, kind="stable")[: int((~np.isnan(given)).sum())]
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * np.arange(order.size, 0, -1)), 1.0)
    return adjusted


def _summed(value_KN: FloatArray, group_N: npt.NDArray[np.intp], groups: int) -> FloatArray:
    """Sum within each group: (K, G)."""
    return np.stack([np.bincount(group_N, weights=value_N, minlength=groups) for value_N in value_KN])


def _unbiased(groups: int) -> float:
    """``G / (G - 1)``, and NaN for a single group."""
    return groups / (groups - 1) if groups > 1 else float("nan")
