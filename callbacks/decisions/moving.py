"""A threshold that a person moves: what it does on the calibration images, and where that of pixels follows to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from callbacks.policies.base import IMAGES, count_float32, describe_calls
from callbacks.policies.fixed import Fixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from callbacks.policies.base import Threshold

    from .choosing import Seen
    from .scopes import Scoped


def set_image_threshold(scoped: Scoped, value: float, seen_N: Sequence[Seen], note: str, kind: str = "") -> Scoped:
    """Set the threshold of images, for all or for one kind.

    Args:
        scoped: The thresholds so far.
        value: In raw score units.
        seen_N: Calibration images, which say what the value does.
        note: Who set it, and when: the head of its promise.
        kind: The sub-population whose threshold it is; empty: that of all, and of kinds without one of their own.

    Raises:
        ValueError: The value is not finite in float32, or no image of the kind was seen.
    """
    of_kind = [seen for seen in seen_N if not kind or seen.kind == kind]
    if not of_kind:
        there = ", ".join(sorted({seen.kind for seen in seen_N} - {""})) or "none"
        raise ValueError(f"Expected kind to be one that calibration saw ({there}), but found {kind!r}.")
    chosen = Fixed(value).choose([seen.score for seen in of_kind], [seen.label_index for seen in of_kind])
    return _with(scoped, replace(chosen, promise=f"{note} {chosen.promise}"), kind)


def calls_of(scoped: Scoped, seen_N: Sequence[Seen], kind: str = "") -> str:
    """Say what the threshold of images does to those of the calibration, or to those of one kind."""
    of_kind = [seen for seen in seen_N if not kind or seen.kind == kind]
    counts = count_float32([seen.score for seen in of_kind], [seen.label_index for seen in of_kind])
    return describe_calls(counts, scoped.of_kind(kind), IMAGES)


def set_pixel_threshold(scoped: Scoped, value: float, note: str, kind: str = "") -> Scoped:
    """Set the threshold of pixels; what it does to them is not known again before the next test.

    Raises:
        ValueError: The value is not finite in float32.
    """
    before = scoped.kind.get(kind, scoped.all)
    value = float(np.float32(Fixed(value).value))
    return _with(scoped, replace(before, value=value, policy=repr(Fixed(value)), promise=note, table=None), kind)


def follow(before: float, after: float, pixel: float, seen_N: Sequence[Seen]) -> float:
    """Move the threshold of pixels along with that of images.

    Over the calibration images, the highest value of the map rises with the score by a slope (Theil's and Sen's, the
    median over all pairs, which a few odd images do not move). The pixels' threshold moves by that slope times as far
    as the images' did: where scores are the maps' maxima, by just as much; where they have nothing to do with each
    other, not at all.

    Args:
        before: Threshold of images so far.
        after: And from now on.
        pixel: Threshold of pixels so far.
        seen_N: Calibration images; of more than 1,000, a fixed draw.

    Returns:
        The threshold of pixels from now on.
    """
    pairs = np.array([(seen.score, seen.map_max) for seen in seen_N if np.isfinite(seen.map_max)])
    if len(pairs) > 1000:
        pairs = np.random.default_rng(0).permutation(pairs)[:1000]
    if len(pairs) < 2:
        return pixel
    first, second = np.triu_indices(len(pairs), 1)
    score, peak = pairs[second].T - pairs[first].T
    apart = score != 0
    slope = float(np.median(peak[apart] / score[apart])) if apart.any() else 0.0
    return pixel + max(slope, 0.0) * (after - before)


def _with(scoped: Scoped, threshold: Threshold, kind: str) -> Scoped:
    return replace(scoped, kind={**scoped.kind, kind: threshold}) if kind else replace(scoped, all=threshold)
