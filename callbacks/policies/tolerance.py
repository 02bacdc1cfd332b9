"""How much a threshold that sits at an order statistic is worth on new samples, whatever the scores' distribution.

Of n samples, let k lie beyond a threshold that was put next to the (k+1)-th. The chance p that a new sample from the
same process lies beyond it differs from one calibration set to the next, and is distributed as Beta(k+1, n-k), or more
favourably where scores are tied. That gives one-sided tolerance limits without any assumption on the scores.

Source: Wilks, "Determination of sample sizes for setting tolerance limits", Annals of Mathematical Statistics 12, 1941.
"""

from __future__ import annotations

from math import ceil, log

from scipy.stats import beta


def most_beyond(samples: int, beyond: int, confidence: float) -> float:
    """Return the chance p beyond the threshold that is not exceeded with a given confidence, in (0, 1].

    Args:
        samples: Calibration samples n of the class in question, at least 1.
        beyond: How many of them k were allowed beyond the threshold, less than n.
        confidence: One-sided, in (0, 1).
    """
    return float(beta.ppf(confidence, beyond + 1, samples - beyond))


def allowed_with_confidence(samples: int, share: float, confidence: float) -> int | None:
    """Return the most samples that may lie beyond, so that the chance stays at most ``share`` with ``confidence``.

    None where even none beyond is not enough: see `samples_needed`.
    """
    low, high = -1, samples - 1  # the bound grows with what is allowed: bisect
    while low < high:
        middle = (low + high + 1) // 2
        if most_beyond(samples, middle, confidence) <= share:
            low = middle
        else:
            high = middle - 1
    return None if low < 0 else low


def samples_needed(share: float, confidence: float) -> int:
    """Return the fewest samples, none beyond, that keep the chance at most ``share`` with ``confidence``."""
    needed = max(1, ceil(log(1 - confidence) / log(1 - share)))
    return needed if most_beyond(needed, 0, confidence) <= share else needed + 1  # the last bits of the logarithms


def check_share(name: str, value: float) -> None:
    """Refuse what is not a share between none and all.

    Raises:
        ValueError: Says so.
    """
    if not 0 < value < 1:
        raise ValueError(f"Expected {name} to be between 0 and 1, both excluded, but got {value}.")
