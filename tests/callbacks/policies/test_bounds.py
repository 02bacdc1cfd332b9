"""Numbers whose squares are no numbers are refused before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from callbacks.policies.base import MOST
from callbacks.policies.choice import choose_threshold
from callbacks.policies.cost import Cost
from callbacks.policies.f1 import F1
from callbacks.policies.mad import MedianMad
from callbacks.policies.mean_sigma import MeanSigma

if TYPE_CHECKING:
    from collections.abc import Callable

    from callbacks.policies.base import Policy

MAKERS: dict[str, Callable[[float], Policy]] = {
    "beta": lambda value: F1(beta=value),
    "k of sigma": lambda value: MeanSigma(k=value),
    "k of MAD": lambda value: MedianMad(k=value),
    "miss": lambda value: Cost(miss=value),
    "false alarm": lambda value: Cost(false_alarm=value),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_largest_gives_a_threshold_and_larger_ones_are_refused(make: Callable[[float], Policy]) -> None:
    labels = (np.arange(40) % 4 == 0).astype(int)
    scores = np.random.default_rng(0).normal(size=40) + labels
    assert np.isfinite(choose_threshold(make(MOST), scores, labels).value)
    for value in (1e13, 1e300, float("inf"), float("nan"), 0.0, -1.0):
        with pytest.raises(ValueError, match=r"^Expected .* to be a positive .* up to 1e\+12"):
            make(value)
