"""Points of a space that lie evenly: Sobol's sequence, scrambled (Owen 1998), over ranges and choices alike.

Optuna's own sampler of this kind draws choices at random, and takes the first trial's keys for those of all.
"""

from __future__ import annotations

import warnings
from math import exp, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .space import Axis

Value = str | int | float


def sobol_point(axes: Sequence[Axis], seed: int, number: int) -> dict[str, Value]:
    """Return the values of every axis at a point of the sequence.

    Args:
        axes: One dimension each; a key that a choice of others does not know leaves its own unused.
        seed: Of the scrambling.
        number: Of the point, from 0.
    """
    from scipy.stats import qmc  # noqa: PLC0415 - most of a second, for this search alone

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that one point at a time is not a power of two
        share_D = qmc.Sobol(len(axes), scramble=True, rng=seed).random(number + 1)[-1]
    return {axis.key: value_at(axis, float(share)) for axis, share in zip(axes, share_D, strict=True)}


def value_at(axis: Axis, share: float) -> Value:
    """Return the value at a share in [0, 1) of an axis: by factors, by whole numbers, or by place in a list."""
    span = axis.interval
    if span is None:
        return axis.choices[min(int(share * len(axis.choices)), len(axis.choices) - 1)]
    low, high = (span.low - 0.5, span.high + 0.5) if span.whole else (span.low, span.high)
    value = exp(log(low) + share * (log(high) - log(low))) if span.log else low + share * (high - low)
    inside = min(max(value, span.low), span.high)
    return int(min(round(inside), span.high)) if span.whole else inside
