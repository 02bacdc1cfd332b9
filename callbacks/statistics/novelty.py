"""What is usual: limits of each fact of an image, from those that a model was trained and calibrated on.

The limits have to hold for a fresh image of the same source, however few there are to go by. Groups (frames of one
sequence, tiles of one array) are exchangeable, their images are not: of n groups, the next one lies beyond the furthest
with probability 1/(n+1) at most. To come from there to ``RATE``, which n groups alone cannot show, its distance from
the median is stretched as the tail of a distribution with index ``TAIL`` would be (Weissman, "Estimation of parameters
and large quantiles", JASA 73, 1978); 0.3 is heavier than Student's t with four degrees of freedom, and was chosen on
the real sets that ``benchmarks/drift.py`` resamples. With enough groups the limit is an order statistic, and nothing is
stretched.

Letters: N images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

RATE = 0.0005  # of fresh images beyond each limit: eight facts with two limits each come to less than 1 image in 100
TAIL = 0.3
DIGITS = 6  # of limits, and of the facts that travel with a model
FEWEST = 5  # images that a limit needs

Facts = Mapping[str, float]


class Fact(NamedTuple):
    """A fact of an image that has limits.

    Attributes:
        words: Its name, for people.
        logarithm: Whether ratios matter and not differences.
        minimum: Distance from the median within which it is never unusual, for sets that hardly vary.
        spread: Distance of the furthest group that is taken for granted, and stretched as one that was seen: a few
            groups that are alike do not show how sizes of crops, and focus, vary from part to part.
        far_alone: Whether large values alone are unusual, as of a distance.
    """

    words: str
    logarithm: bool
    minimum: float
    spread: float = 0.0
    far_alone: bool = False


FACTS: Mapping[str, Fact] = {
    "height": Fact("height", logarithm=True, minimum=0.0),
    "width": Fact("width", logarithm=True, minimum=0.0),
    "brightness": Fact("brightness", logarithm=False, minimum=0.02),
    "contrast": Fact("contrast", logarithm=True, minimum=0.1),
    "sharpness": Fact("sharpness", logarithm=True, minimum=0.1, spread=0.08),
    "warmth": Fact("warmth (red less blue)", logarithm=False, minimum=0.02),
    "level": Fact("overall strangeness", logarithm=False, minimum=0.1),
    "embedding": Fact("distance of the features", logarithm=True, minimum=0.1, far_alone=True),
}
_SMALLEST = 1e-6  # whose logarithm stands for that of 0


class Limits(NamedTuple):
    """Between which values a fact is usual; so many ``groups`` of images say so."""

    low: float
    high: float
    groups: int


def transformed(name: str, value_N: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return values on the scale on which their differences matter."""
    return np.log(np.maximum(value_N, _SMALLEST)) if FACTS[name].logarithm else value_N


def find_limits(name: str, value_N: npt.NDArray[np.float64], group_N: npt.NDArray[np.int64]) -> Limits | None:
    """Find the limits of one fact; None where fewer than ``FEWEST`` images tell it.

    Args:
        name: Of the fact.
        value_N: Its values; NaN where unknown.
        group_N: The group of each.
    """
    known_N = np.isfinite(value_N)
    if known_N.sum() < FEWEST:
        return None
    scale_N = transformed(name, value_N[known_N])
    groups, code_N = np.unique(group_N[known_N], return_inverse=True)
    middle = float(np.median(scale_N))
    highest_G, lowest_G = np.full(len(groups), -np.inf), np.full(len(groups), np.inf)
    np.maximum.at(highest_G, code_N, scale_N)
    np.minimum.at(lowest_G, code_N, scale_N)
    fact = FACTS[name]
    above, below = _reach(highest_G - middle, fact.spread), _reach(middle - lowest_G, fact.spread)
    low, high = middle - max(below, fact.minimum), middle + max(above, fact.minimum)
    low = -math.inf if fact.far_alone else low
    ends = (math.exp(low), math.exp(high)) if fact.logarithm else (low, high)
    return Limits(rounded(ends[0]), rounded(ends[1]), len(groups))


def _reach(distance_G: npt.NDArray[np.float64], spread: float) -> float:
    """Say how far from the median all but ``RATE`` of fresh groups lie, if the furthest seen is beyond ``spread``."""
    count = len(distance_G)
    beyond = int(RATE * (count + 1))  # groups that may lie beyond
    if beyond:
        return float(np.sort(distance_G)[-beyond])
    return max(float(distance_G.max()), spread) * math.pow(1 / ((count + 1) * RATE), TAIL)


def unusual(facts: Facts, limits: Mapping[str, Limits]) -> list[str]:
    """Say in words which facts of an image lie outside their limits; nothing where all are usual."""
    found = []
    for name, (low, high, _) in limits.items():
        value = facts.get(name, math.nan)
        compared = max(value, _SMALLEST) if FACTS[name].logarithm else value
        slack = 1e-5 * max(abs(low), abs(high))  # limits are rounded
        if compared < low - slack or compared > high + slack:
            found.append(f"{FACTS[name].words} {_written(value)} (usual: {_span(low, high)})")
    return found


def rounded(value: float) -> float:
    """Round to the digits that travel with a model."""
    return float(f"{value:.{DIGITS}g}")


def _span(low: float, high: float) -> str:
    return _written(low) if _written(low) == _written(high) else f"{_written(low)} to {_written(high)}"


def _written(value: float) -> str:
    if abs(value - round(value)) < 1e-6 and abs(value) >= 2:
        return str(round(value))
    return f"{value:.3g}"
