"""Choosing by a policy, and what happens where the samples that it needs are missing: another one, and it is said."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from .base import IMAGES, Policy, Threshold, count_float32
from .normal import Normal
from .prevalence import describe_few
from .recall import Recall

if TYPE_CHECKING:
    import numpy.typing as npt

    from callbacks.statistics.curves import ScoreCounts

_NORMAL = Normal()
_EVERY_DEFECT = Recall(1.0)


def choose_threshold(
    policy: Policy,
    score_N: npt.ArrayLike,
    label_N: npt.ArrayLike,
    fallback: Policy = _NORMAL,
    nothing: float | None = None,
) -> Threshold:
    """Choose a threshold by ``policy``, or by another where samples that it needs are missing.

    Args:
        policy: The policy asked for.
        score_N: Raw calibration scores, higher is worse, finite in float32.
        label_N: 0 good, 1 defective, -1 unknown (ignored).
        fallback: Takes over where it can; where there are no good samples it cannot, and the lowest defective score
            becomes the threshold, which finds every calibration defect and promises nothing about good samples.
        nothing: The score of samples on which a model found nothing at all, above which the threshold lies; None: the
            model always finds something.

    Returns:
        The threshold; where another policy was used, ``fallback`` is true and the promise begins by saying why.

    Raises:
        ValueError: Where no sample is labelled, or a score is not finite.
    """
    return choose_threshold_from_counts(policy, count_float32(score_N, label_N), fallback, nothing=nothing)


def choose_threshold_from_counts(
    policy: Policy,
    counts: ScoreCounts,
    fallback: Policy = _NORMAL,
    unit: str = IMAGES,
    nothing: float | None = None,
) -> Threshold:
    """`choose_threshold` from counts, as a pixel histogram gives them; ``unit`` names the samples in the promise."""
    if policy.can_choose(counts):
        return _chosen(policy, counts, unit, nothing)
    stand_in = next((other for other in (fallback, _NORMAL, _EVERY_DEFECT) if other.can_choose(counts)), None)
    if stand_in is None:
        raise ValueError(
            f"Expected good or defective {unit} in the calibration set, but found none that is labelled; a threshold "
            "separates good from defective, so label some of the calibration pictures."
        )
    missing, there = ("good", "defective") if counts.positive.sum() else ("defective", "good")
    why = (
        f"The calibration set holds no {missing} {unit}, so it was chosen by {there} ones alone "
        f"({name_of(stand_in)} in place of {name_of(policy)}). "
    )
    chosen = _chosen(stand_in, counts, unit, nothing)
    return replace(chosen, promise=why + chosen.promise, fallback=True)


def name_of(policy: Policy) -> str:
    """Name a policy as ``threshold=`` does."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(policy).__name__).lower()


def _chosen(policy: Policy, counts: ScoreCounts, unit: str, nothing: float | None) -> Threshold:
    """Choose, and say where that rests on few good images; for pixels, callers that know their images do."""
    chosen = policy.choose_from_counts(counts, unit) if nothing is None else policy.choose_above(counts, nothing, unit)
    few = describe_few(chosen.n_good) if unit == IMAGES and policy.needs_good else ""
    return replace(chosen, promise=chosen.promise + few)
