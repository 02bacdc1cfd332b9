"""How far one form of a bundle agrees with its checkpoint, and what it may lose.

Scores are raw and unbounded, so errors are counted as a share of the range that the checkpoint's scores (or map values)
have on calibration images: widened to hold the image's own where it lies beyond, and to a tenth of the values
themselves where they hardly differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from callbacks.statistics.curves import count_scores, roc_auc
from datamodules.table import UNKNOWN

from .stages import relative

if TYPE_CHECKING:
    from collections.abc import Sequence

FULL = "fp32"


class Tolerance(NamedTuple):
    """What a form may lose.

    Attributes:
        score: Largest error of a score, as a share of the range; None: not held to it.
        map: Largest error of a map value, likewise.
        flips: Share of images whose verdict may differ.
        auroc: What the AUROC on calibration images may lose.
    """

    score: float | None
    map: float | None
    flips: float
    auroc: float


TOLERANCES = {
    "fp32": Tolerance(1e-4, 1e-3, 0.0, 0.0),
    "fp16": Tolerance(1e-2, 2e-2, 0.01, 0.005),
    "int8": Tolerance(None, None, 0.05, 0.02),
}


@dataclass
class Agreement:
    """How one form of a bundle agrees with the checkpoint, image by image.

    Attributes:
        runtime: Of the form.
        precision: Of the form.
        rows: One per image.
    """

    runtime: str
    precision: str
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name the form."""
        return f"{self.runtime} {self.precision}"


class Errors(NamedTuple):
    """Errors of one form, image by image, as shares of the ranges (low, high) of scores and of map values."""

    scores: list[float]
    maps: list[float]
    score_range: tuple[float, float]
    map_range: tuple[float, float]

    @classmethod
    def of(cls, rows: Sequence[dict[str, Any]]) -> Errors:
        """Take the ranges from images whose label is known, where there are any."""
        known = [row for row in rows if row["label_index"] != UNKNOWN] or rows
        scores = [row["score"] for row in known]
        score_range = min(scores), max(scores)
        map_range = min(row["map_low"] for row in known), max(row["map_high"] for row in known)
        return cls(
            [relative(abs(row["found"] - row["score"]), *score_range, row["score"]) for row in rows],
            [relative(row["map_error"], *map_range, row["map_low"], row["map_high"]) for row in rows],
            score_range,
            map_range,
        )


def sum_up(agreement: Agreement) -> dict[str, Any]:
    """Sum up one form: the worst errors, flips, AUROC on both sides, and in which of these it fails."""
    limits, rows = TOLERANCES[agreement.precision], agreement.rows
    errors = Errors.of(rows)
    differing = [row for row in rows if row["verdict"] != row["found_verdict"]]
    at_threshold = [row["picture"] for row in differing if _is_at_threshold(row, limits.score, *errors.score_range)]
    flips = [row["picture"] for row in differing if row["picture"] not in at_threshold]
    aurocs = _auroc(rows, "score"), _auroc(rows, "found")
    score_error, map_error = float(np.max(errors.scores)), float(np.max(errors.maps))  # NaN, where there is one
    worst = int(np.argmax(errors.scores if 10 * score_error >= map_error else errors.maps))
    beyond = [
        row["picture"] in flips or not (_within(score, limits.score) and _within(in_map, limits.map))
        for row, score, in_map in zip(rows, errors.scores, errors.maps, strict=True)
    ]
    return {
        "form": agreement.name,
        "tolerance": limits._asdict(),
        "pictures": len(rows),
        "beyond": sum(beyond),
        "score_error": None if np.isnan(score_error) else score_error,
        "map_error": None if np.isnan(map_error) else map_error,
        "worst": rows[worst]["picture"],
        "score_range": list(errors.score_range),
        "map_range": list(errors.map_range),
        "flips": flips,
        "at_threshold": at_threshold,
        "auroc_of_checkpoint": aurocs[0],
        "auroc_of_bundle": aurocs[1],
        "failed": _failures(limits, score_error, map_error, flips, len(rows), *aurocs),
    }


def _failures(
    limits: Tolerance,
    score_error: float,
    map_error: float,
    flips: Sequence[str],
    images: int,
    auroc: float | None,
    found_auroc: float | None,
) -> list[str]:
    """Say in which respects a form loses more than it may."""
    failed = []
    if not _within(score_error, limits.score):
        failed.append(f"scores differ by {score_error:.2g} of their range, more than {limits.score:g}")
    if not _within(map_error, limits.map):
        failed.append(f"maps differ by {map_error:.2g} of their range, more than {limits.map:g}")
    if len(flips) > limits.flips * images:
        failed.append(f"{len(flips)} of {images} verdicts differ, {flips[0]} for one")
    if auroc is not None and found_auroc is not None and auroc - found_auroc > limits.auroc + 1e-6:
        failed.append(f"the AUROC falls from {auroc:.4f} to {found_auroc:.4f}")
    return failed


def _within(error: float, tolerance: float | None) -> bool:
    """Tell whether an error, which may be NaN, is tolerated."""
    return tolerance is None or error <= tolerance


def _is_at_threshold(row: dict[str, Any], tolerance: float | None, low: float, high: float) -> bool:
    """Tell whether a score lies so near to its threshold that rounding decides; only in full precision."""
    if tolerance is None:
        return False
    return relative(abs(row["score"] - row["threshold"]), low, high, row["score"]) <= min(tolerance, 1e-4)


def _auroc(rows: Sequence[dict[str, Any]], column: str) -> float | None:
    known = [row for row in rows if row["label_index"] != UNKNOWN]
    counts = count_scores([row[column] for row in known], [row["label_index"] for row in known])
    value = float(roc_auc(counts.negative, counts.positive))
    return None if np.isnan(value) else value
