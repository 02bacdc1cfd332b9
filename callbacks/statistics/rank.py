"""Where a score lies among those of good calibration images: it can always be said, whatever the defects are like."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def rank_among_good(score: float, good_N: Sequence[float]) -> float | None:
    """Return the share of good images whose score is lower, in [0, 1]; None where there are none.

    Args:
        score: Raw.
        good_N: Raw scores of good images, ascending.
    """
    return bisect_left(good_N, score) / len(good_N) if good_N else None


class GoodScores:
    """Scores of good calibration images: of all, and of each kind that has a threshold of its own.

    Args:
        plain: ``all`` and ``kind``, as ``calibration.json`` holds them; empty for models of earlier versions.
    """

    def __init__(self, plain: Mapping[str, Any]) -> None:
        self._all: list[float] = list(plain.get("all", []))
        self._kind: dict[str, list[float]] = dict(plain.get("kind", {}))

    def rank(self, score: float, kind: str = "") -> float | None:
        """Return the share of good images of its kind with a lower score; None where none are known."""
        return rank_among_good(score, self._kind.get(kind, self._all))
