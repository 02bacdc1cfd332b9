"""Where two ways of judging an image part: comparisons of one stage each, in the order of an image's way.

Letters: H and W height and width, in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
STAGES = ("reading", "colour order", "resize", "graph", "thresholds")


class Difference(NamedTuple):
    """What differs.

    Attributes:
        stage: One of ``STAGES``.
        amount: How much, for choosing the worst image.
        words: In words.
    """

    stage: str
    amount: float
    words: str


def compare_pixels(expected: Array, found: Array) -> Difference | None:
    """Compare pixels as stored: they must be equal."""
    if expected.shape != found.shape or expected.dtype != found.dtype:
        words = f"read as {found.shape} {found.dtype} instead of {expected.shape} {expected.dtype}"
        return Difference("reading", float("inf"), words)
    if np.array_equal(expected, found):
        return None
    worst = float(np.abs(expected.astype(np.float64) - found.astype(np.float64)).max())
    if expected.ndim == 3 and np.array_equal(expected[..., ::-1], found):
        return Difference("colour order", worst, "read with red and blue exchanged")
    return Difference("reading", worst, f"read with pixels that differ by up to {worst:g}")


def compare_inputs(expected_3HW: Array, found_3HW: Array) -> Difference | None:
    """Compare what the networks are given, from equal pixels: it must be equal, since both sides share one resize."""
    if expected_3HW.shape != found_3HW.shape:
        return Difference("resize", float("inf"), f"resized to {found_3HW.shape[1:]}, not {expected_3HW.shape[1:]}")
    if np.array_equal(expected_3HW, found_3HW):
        return None
    worst = float(np.abs(expected_3HW - found_3HW).max())
    if np.array_equal(expected_3HW[::-1], found_3HW):
        return Difference("colour order", worst, "prepared with red and blue exchanged")
    return Difference("resize", worst, f"resized to values that differ by up to {worst:.3g} of white")


def compare_plain(expected: Any, found: Any, where: str = "") -> list[str]:
    """Compare nested plain values exactly; return a sentence for each that differs."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        keys = dict.fromkeys([*expected, *found])
        return [
            words
            for key in keys
            for words in compare_plain(expected.get(key), found.get(key), f"{where}.{key}" if where else str(key))
        ]
    if _is_list(expected) and _is_list(found) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [words for index, (one, other) in pairs for words in compare_plain(one, other, f"{where}[{index}]")]
    return [] if expected == found else [f"{where} is {found!r} in the bundle, but {expected!r} in the checkpoint"]


def relative(error: float, low: float, high: float, *values: float) -> float:
    """Return an error as a share of a range, which is widened to hold ``values``, and to a tenth of their size.

    The last is for ranges that are nearly empty: float32 has seven digits, whatever the range.
    """
    lowest, highest = min(low, *values), max(high, *values)
    width = max(highest - lowest, 0.1 * max(abs(lowest), abs(highest)))
    return error / max(width, float(np.finfo(np.float32).tiny))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
