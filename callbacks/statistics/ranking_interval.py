"""An interval of AUROC that does not jump where two classes are told apart without a mistake."""

from __future__ import annotations

from statistics import NormalDist


def auroc_interval(value: float, good: int, defective: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the score interval of an AUROC in [0, 1], from the number of images, or groups, of either class.

    It holds each value whose standard error puts the one that was found within reach. At 1 it keeps a width, which
    resamples cannot have; a little below 1 it reaches nearly as far down, where resamples of few images are all alike.

    Source: Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic, part 2",
        Statistics in Medicine 25, 2006, method 5; the variance is that of Hanley and McNeil, Radiology 143, 1982.
    """
    if good < 1 or defective < 1:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    below = _root(value, good, defective, z)
    above = 1 - _root(1 - value, good, defective, z)
    return below, above


def _root(value: float, good: int, defective: int, z: float) -> float:
    """Find the lowest AUROC within reach, by halving: the reach shrinks less than the distance grows."""
    low, high = 0.0, value
    for _ in range(60):
        middle = (low + high) / 2
        if value - middle > z * _error(middle, good, defective):
            low = middle
        else:
            high = middle
    return high


def _error(value: float, good: int, defective: int) -> float:
    """Return the standard error of an AUROC, with the mean of the two sizes in place of each, as method 5 has it."""
    others = (good + defective) / 2 - 1
    spread = 1 + others * ((1 - value) / (2 - value) + value / (1 + value))
    return float((value * (1 - value) * spread / (good * defective)) ** 0.5)
