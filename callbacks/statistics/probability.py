"""From raw scores to probabilities of a defect, fitted on calibration images, and how far they can be believed.

A probability speaks about a mix of images like that of the calibration set: where defects are rarer in production,
so are they at every score.

Shape letters: N images, K knots, B resamples, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, xlog1py, xlogy

from .bootstrap import Estimate, Resampling, group_weights, interval
from .curves import count_scores, labelled, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from .curves import FloatArray

Method = Literal["isotonic", "platt"]
Choice = Literal["auto", "isotonic", "platt"]
MINIMUM = 10  # images of each class; fewer tell no rate better than to 30 %
ENOUGH = 1000  # below that isotonic regression tends to overfit (Niculescu-Mizil and Caruana, ICML 2005)
BINS = 10


@dataclass(frozen=True)
class Probability:
    """A rising function from raw scores to the probability of a defect, and what it rests on.

    Attributes:
        method: ``isotonic``: linear between knots, level beyond them; ``platt``: ``1 / (1 + exp(-(slope score +
            offset)))``.
        scores: (K,) knots in raw score units, ascending; empty for platt.
        probabilities: (K,) in [0, 1], ascending; empty for platt.
        slope: Per unit of raw score; 0 for isotonic.
        offset: 0 for isotonic.
        n_good: Good calibration images.
        n_defective: Defective calibration images.
        promise: What it is worth, in plain sentences.
    """

    method: Method
    scores: tuple[float, ...]
    probabilities: tuple[float, ...]
    slope: float
    offset: float
    n_good: int
    n_defective: int
    promise: str

    def __call__(self, score_N: npt.ArrayLike) -> FloatArray:
        """Return probabilities in [0, 1] of raw scores."""
        score = np.asarray(score_N, dtype=np.float64)
        if self.method == "platt":
            squashed: FloatArray = expit(self.slope * score + self.offset)
            return squashed
        return np.interp(score, self.scores, self.probabilities)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Probability:
        """Return a function from what ``to_dict`` gave."""
        lists = {name: tuple(values[name]) for name in ("scores", "probabilities")}
        return cls(**{**values, **lists})


def fit_probability(
    choice: Choice, score_N: npt.ArrayLike, label_N: npt.ArrayLike, prior: float | None = None
) -> Probability | str:
    """Fit the probability of a defect; where that cannot be done honestly, say why instead.

    Args:
        choice: ``isotonic``, ``platt``, or ``auto``: platt below ``ENOUGH`` images, else isotonic.
        score_N: Raw calibration scores.
        label_N: 0 good, 1 defective, -1 unknown (ignored).
        prior: Share of defective images, in (0, 1), that it is to speak about; None: that of the calibration images.
    """
    score, label = labelled(score_N, label_N)
    order = np.lexsort((label, score))  # the order of the images must not change the last bits of a fit
    score, label = score[order], label[order]
    n_defective = int(label.sum())
    n_good = int(label.size - n_defective)
    if min(n_good, n_defective) < MINIMUM:
        return (
            f"No probabilities: the calibration set holds {n_good} good and {n_defective} defective pictures, and at "
            f"least {MINIMUM} of each are needed."
        )
    method = _method(choice, score.size)
    found = n_defective / score.size
    mix = "such a mix" if prior is None else f"a mix with a share of {prior:.3g} defective ones"
    promise = (
        f"Fitted to {n_good} good and {n_defective} defective calibration pictures, and true of {mix} only: where "
        "defects are rarer, they are rarer at every score."
    )
    odds = 1.0 if prior is None else prior / (1 - prior) * (1 - found) / found
    if method == "platt":
        slope, offset = fit_platt(score, label)
        if slope < 0:
            return "No probabilities: defective calibration pictures do not score higher than good ones."
        return Probability(method, (), (), slope, offset + float(np.log(odds)), n_good, n_defective, promise)
    if n_good + n_defective < ENOUGH:
        promise += f" Isotonic regression tends to overfit fewer than {ENOUGH:,} pictures; platt needs fewer."
    knots, values = fit_isotonic(score, label)
    values = odds * values / (odds * values + 1 - values)
    return Probability(method, tuple(knots.tolist()), tuple(values.tolist()), 0.0, 0.0, n_good, n_defective, promise)


def _method(choice: Choice, images: int) -> Method:
    if choice == "auto":
        return "platt" if images < ENOUGH else "isotonic"
    return choice


def fit_isotonic(score_N: FloatArray, label_N: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Return the rising step function nearest to the labels, by its first and last score on each level: (K,) and (K,).

    Source: Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability estimates", KDD
        2002; the pool-adjacent-violators algorithm is scipy's.
    """
    counts = count_scores(score_N, label_N)
    total = counts.positive + counts.negative
    fitted = np.asarray(isotonic_regression(counts.positive / total, weights=total).x, dtype=np.float64)
    inner = np.zeros(fitted.size, dtype=bool)
    inner[1:-1] = (fitted[1:-1] == fitted[:-2]) & (fitted[1:-1] == fitted[2:])
    return counts.threshold[~inner], np.clip(fitted[~inner], 0.0, 1.0)


def fit_platt(score_N: FloatArray, label_N: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Slope and offset of the logistic function of the score with the highest likelihood.

    Targets are (n_defective + 1) / (n_defective + 2) and 1 / (n_good + 2) rather than 1 and 0, so that perfectly
    separated images give no certainty.

    Source: Platt, "Probabilistic outputs for support vector machines", 1999, sec. 2.2.
    """
    n_defective = int(label_N.sum())
    n_good = label_N.size - n_defective
    target_N = np.where(label_N == 1, (n_defective + 1) / (n_defective + 2), 1 / (n_good + 2))
    centre, spread = float(score_N.mean()), float(score_N.std())
    x_N = (score_N - centre) / (spread or 1.0)

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        p_N = expit(parameters[0] * x_N + parameters[1])
        value = -(xlogy(target_N, p_N) + xlog1py(1 - target_N, -p_N)).mean()
        residual_N = p_N - target_N
        return float(value), np.array([(residual_N * x_N).mean(), residual_N.mean()])

    start = np.array([0.0, np.log((n_defective + 1) / (n_good + 1))])
    slope, offset = minimize(loss, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10}).x
    slope /= spread or 1.0
    return float(slope), float(offset - slope * centre)


def probability_intervals(
    probability_N: npt.ArrayLike, label_N: npt.ArrayLike, group_N: npt.ArrayLike, resampling: Resampling
) -> dict[str, Estimate]:
    """Tell how far probabilities agree with labels: ``brier`` and ``ece``, in [0, 1], lower is better, with intervals.

    Args:
        probability_N: Of a defect, in [0, 1].
        label_N: 0 good, 1 defective, -1 unknown (left out).
        group_N: Name of each image's group; groups are resampled, not images.
        resampling: Number of resamples, confidence and seed.

    Source: Brier, Monthly Weather Review 78, 1950; Guo et al., "On calibration of modern neural networks", ICML 2017,
        for the expected calibration error over ten bins of equal width.
    """
    p_N, label = labelled(probability_N, label_N)
    _, group_index = np.unique(np.asarray(group_N)[np.asarray(label_N) != -1], return_inverse=True)
    order = np.lexsort((label, p_N))  # sums in another order differ in their last bits
    p_N, label, group_index = p_N[order], label[order], group_index[order]
    bin_N = np.minimum((p_N * BINS).astype(int), BINS - 1)
    groups = int(group_index.max()) + 1 if group_index.size else 0
    table_GK = np.zeros((groups, BINS + 2))  # p - label summed in each bin, the square of it, and how many images
    np.add.at(table_GK, (group_index, bin_N), p_N - label)
    table_GK[:, BINS] = np.bincount(group_index, weights=(p_N - label) ** 2, minlength=groups)
    table_GK[:, BINS + 1] = np.bincount(group_index, minlength=groups)
    table_GK = table_GK[np.lexsort(table_GK.T)]  # in an order that does not depend on the groups' names
    whole = _agreement(table_GK.sum(axis=0, keepdims=True))
    weights = group_weights(np.zeros(groups, dtype=bool), resampling, resampling.resamples)
    resampled = _agreement(np.concatenate([weight_BG @ table_GK for weight_BG in weights]))
    return {
        name: interval(float(value[0]), resampled[name], groups, resampling.confidence) for name, value in whole.items()
    }


def _agreement(table_BK: FloatArray) -> dict[str, FloatArray]:
    total_B = table_BK[:, -1]
    return {
        "brier": ratio(table_BK[:, BINS], total_B),
        "ece": ratio(np.abs(table_BK[:, :BINS]).sum(axis=1), total_B),
    }
