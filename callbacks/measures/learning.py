"""How a training went: which epoch was kept and why, and whether there is any sign that the network learned.

A training that fails does not fail loudly: it ends, thresholds are chosen, and a report is written. What gives it away
is compared here: the objective with itself over the epochs, with chance, and with what brightness alone reaches.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from callbacks.statistics.curves import count_scores, roc_auc
from callbacks.statistics.intervals import image_intervals
from datamodules.table import DEFECTIVE, GOOD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from callbacks.statistics.bootstrap import Estimate

LOSS = "train/loss"
_SAME = 1e-9  # objectives that differ by less are the same
_FALL = 0.005  # share of the first epoch's loss by which a network that learns falls short of it, at the least
_WORDS = {  # what is monitored, in words; what it needs, where it is not there
    "calibration/objective": ("AUROC of the calibration images", "good and defective calibration images"),
    "calibration/pixel_objective": (
        "best pixel F1 of the calibration images",
        "calibration images with marked defects",
    ),
    "calibration/mask_ap": ("mask AP of the calibration images", "calibration images with outlined defects"),
}

Rows = dict[int, dict[str, float]]
"""Logged values by epoch, counted from 1, as in ``history.csv``."""


class Rivals(NamedTuple):
    """What a network has to be better than, in units of its objective.

    Attributes:
        chance: What guessing reaches; None where nobody knows.
        brightness: What brightness alone reaches on the same images, in its better direction; None where unknown.
        objective: The kept objective with its interval; None where it has none.
    """

    chance: float | None = None
    brightness: float | None = None
    objective: Estimate | None = None


@dataclass(frozen=True)
class Learning:
    """What metrics.json says under ``training``.

    Attributes:
        epochs: How many there were.
        kept_epoch: Whose network was kept, counted from 1 as in ``history.csv`` and TensorBoard.
        monitor: The logged value that chose it; higher is better.
        value: Of the kept epoch; None where nothing could be logged.
        reason: Which epoch was kept and why, in a sentence.
        learned: False where signs say no; None where the calibration images cannot tell; else True.
        headline: The doubts in a few loud words; empty where there are none.
        doubts: The signs, in sentences.
    """

    epochs: int
    kept_epoch: int
    monitor: str
    value: float | None
    reason: str
    learned: bool | None
    headline: str
    doubts: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in metrics.json."""
        return asdict(self) | {"doubts": list(self.doubts)}


class Sign(NamedTuple):
    """A sign that a network did not learn.

    Attributes:
        about: ``still``: that it did not; ``brightness``: that it is no better; ``unsure``: that nobody can tell.
        sentence: It.
    """

    about: Literal["still", "brightness", "unsure"]
    sentence: str


HEADLINES = {
    "still": "THE NETWORK DID NOT LEARN",
    "brightness": "THE NETWORK IS NO BETTER THAN BRIGHTNESS",
    "unsure": "It is not certain that the network learned",
}
"""From the worst on."""


def how_it_went(rows: Rows, kept_epoch: int, monitor: str, rivals: Rivals) -> Learning:
    """Look back on a training of a network.

    Args:
        rows: Logged values of its epochs.
        kept_epoch: Counted from 1.
        monitor: Name of the value that chose it.
        rivals: To compare with.
    """
    value = rows.get(kept_epoch, {}).get(monitor)
    known = value is not None and math.isfinite(value)
    signs = [*_standstill(rows, monitor), *(_no_better(float(value), monitor, rivals) if value is not None else [])]
    return Learning(
        epochs=max(rows, default=kept_epoch),
        kept_epoch=kept_epoch,
        monitor=monitor,
        value=value if known else None,
        reason=_why(rows, kept_epoch, monitor, value if known else None),
        learned=_learned(signs, known or len(series(rows, LOSS)) > 1),
        headline=next((words for about, words in HEADLINES.items() if about in {sign.about for sign in signs}), ""),
        doubts=tuple(sign.sentence for sign in signs),
    )


def _why(rows: Rows, kept_epoch: int, monitor: str, value: float | None) -> str:
    """Say which epoch was kept and why."""
    epochs = max(rows, default=kept_epoch)
    words, needs = _words(monitor)
    place = f"Kept epoch {kept_epoch} of {epochs}"
    if value is None:
        last = "the last" if kept_epoch == epochs else "the last that was calibrated"
        return f"{place}, {last}: without {needs}, no epoch can be ranked above another."
    equal = sum(abs(row[monitor] - value) <= _SAME for row in rows.values() if monitor in row)
    shared = f"; {equal} epochs have it, and the last of them is kept" if equal > 1 else ""
    return f"{place}: it has the highest {words}, {value:.3f}{shared}."


def _learned(signs: Sequence[Sign], anything_known: bool) -> bool | None:
    if any(sign.about != "unsure" for sign in signs):
        return False
    return None if signs or not anything_known else True


def _standstill(rows: Rows, monitor: str) -> list[Sign]:
    """Compare the epochs with each other: does anything change at all?"""
    objectives, losses = series(rows, monitor), series(rows, LOSS)
    found: list[Sign] = []
    values = [value for _, value in objectives]
    if len(values) > 1 and max(values) - min(values) <= _SAME and values[0] < 1:
        words = f"The {_words(monitor)[0]} is {values[0]:.3f} in each of {len(values)} epochs"
        found.append(Sign("still", f"{words}: it never changed."))
    if len(losses) > 1:
        first, lowest = losses[0][1], min(value for _, value in losses[1:])
        if not lowest < first - _FALL * abs(first):
            found.append(Sign("still", f"The training loss never fell below that of the first epoch, {first:.4g}."))
    return found


def _no_better(value: float, monitor: str, rivals: Rivals) -> list[Sign]:
    """Compare the kept objective with chance and with brightness."""
    words, found = _words(monitor)[0], list[Sign]()
    if not math.isfinite(value):
        return found
    if rivals.chance is not None and value <= rivals.chance + _SAME:
        found.append(Sign("still", f"The {words}, {value:.3f}, is no better than chance, {rivals.chance:.3f}."))
    elif rivals.chance is not None and rivals.objective is not None and rivals.objective.low <= rivals.chance:
        low, high = rivals.objective.low, rivals.objective.high
        stated = f"The {words}, {value:.3f} (95 % interval {low:.3f} to {high:.3f})"
        found.append(Sign("unsure", f"{stated}, cannot be told from chance, {rivals.chance:.3f}."))
    if rivals.brightness is not None and value < 1 and rivals.brightness >= value:
        alone = f"Brightness alone reaches {rivals.brightness:.3f} on the same images"
        found.append(Sign("brightness", f"{alone}, and the network {value:.3f}."))
    return found


def image_rivals(score_N: Sequence[float], label_N: Sequence[int], brightness: float | None) -> Rivals:
    """Find what an AUROC of calibration images has to be better than.

    Args:
        score_N: Of the kept epoch.
        label_N: 0 good, 1 defective, -1 unknown.
        brightness: What it reaches on the same images (``separability``); None where unknown.
    """
    labels = np.asarray(label_N)
    if not {GOOD, DEFECTIVE} <= set(labels.tolist()):
        return Rivals()
    objective = image_intervals(np.asarray(score_N), labels, np.arange(len(labels)).astype(str))["auroc"]
    return Rivals(0.5, brightness, objective)


def separability(brightness_N: npt.NDArray[np.float64], label_N: npt.NDArray[np.int64]) -> float | None:
    """AUROC of brightness in its better direction; None where one class is missing."""
    counts = count_scores(brightness_N, label_N)
    auroc = float(roc_auc(counts.negative, counts.positive))
    return None if math.isnan(auroc) else max(auroc, 1 - auroc)


def series(rows: Rows, name: str) -> list[tuple[int, float]]:
    """Return values of one name by epoch, ascending; epochs without a finite one are left out."""
    return [(epoch, row[name]) for epoch, row in sorted(rows.items()) if name in row and math.isfinite(row[name])]


def _words(monitor: str) -> tuple[str, str]:
    return _WORDS.get(monitor, (monitor, f"a value of {monitor}"))


def objective_name(monitor: str) -> str:
    """Say in words what chose the epoch."""
    return _words(monitor)[0]


def with_reason(training: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's ``training`` with today's keys: runs of before call the ``reason`` of the epoch ``kept``."""
    return {"reason" if key == "kept" else key: value for key, value in training.items()}


def loud(training: Mapping[str, Any]) -> list[str]:
    """Return sentences that nobody who uses the network should miss, from metrics.json; none where it learned."""
    doubts: list[str] = list(training.get("doubts") or [])
    return [f"{training['headline']}: {' '.join(doubts)}"] if doubts else []
