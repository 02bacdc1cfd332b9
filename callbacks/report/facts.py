"""What the predictions say, counted: the confusion matrix, its parts by kind and defect, the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from callbacks.statistics.bootstrap import wilson
from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES, UNKNOWN

from .wording import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


@dataclass(frozen=True)
class Confusion:
    """How labelled images were judged.

    Attributes:
        tp: Defective, called defective.
        fp: Good, called defective.
        tn: Good, called good.
        fn: Defective, called good.
    """

    tp: int
    fp: int
    tn: int
    fn: int

    @property
    def defective(self) -> int:
        """Defective images."""
        return self.tp + self.fn

    @property
    def good(self) -> int:
        """Good images."""
        return self.fp + self.tn

    @property
    def recall(self) -> float | None:
        """Share of the defective images that is found; None without any."""
        return _quotient(self.tp, self.defective)

    @property
    def fpr(self) -> float | None:
        """Share of the good images that is called defective; None without any."""
        return _quotient(self.fp, self.good)

    @property
    def precision(self) -> float | None:
        """Share of what is called defective that is; None where nothing is."""
        return _quotient(self.tp, self.tp + self.fp)

    @property
    def passed_rightly(self) -> float | None:
        """Share of what is called good that is; None where nothing is."""
        return _quotient(self.tn, self.tn + self.fn)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None without defective images."""
        return _quotient(2 * self.tp, 2 * self.tp + self.fp + self.fn) if self.defective else None


@dataclass(frozen=True)
class Part:
    """One kind of image or one type of defect, and how it was judged; intervals are Wilson's, image by image."""

    name: str
    confusion: Confusion
    recall_range: tuple[float, float]
    fpr_range: tuple[float, float]


def confusion(predictions: pd.DataFrame) -> Confusion:
    """Count the labelled images by the verdicts that were given, whatever thresholds they rest on."""
    label = predictions["label_index"].to_numpy()
    called = (predictions["verdict"] == LABEL_NAMES[DEFECTIVE]).to_numpy()
    tp, fp = int((called & (label == DEFECTIVE)).sum()), int((called & (label == GOOD)).sum())
    return Confusion(tp, fp, int((label == GOOD).sum()) - fp, int((label == DEFECTIVE).sum()) - tp)


def parts_by(predictions: pd.DataFrame, column: str, confidence: float = 0.95) -> list[Part]:
    """Split the labelled images by ``kind`` or ``defect``, in the order of names.

    By ``defect``, only defective images count: a good one has no type of defect.

    Returns:
        One part per name; empty where there are fewer than two names, since there is nothing to compare.
    """
    label = predictions["label_index"]
    known = predictions[label == DEFECTIVE if column == "defect" else label != UNKNOWN]
    names = sorted({str(name) for name in known[column].fillna("") if name != ""})
    if len(names) < 2:
        return []
    parts = []
    for name in names:
        counts = confusion(known[known[column].astype(str) == name])
        recall_range = wilson(counts.recall or 0.0, counts.defective, confidence)
        parts.append(Part(name, counts, recall_range, wilson(counts.fpr or 0.0, counts.good, confidence)))
    return parts


def verdict(counts: Confusion) -> str:
    """Tell what the test says, in one plain sentence."""
    alarms = plural(counts.fp, "false alarm") if counts.fp else "no false alarm"
    found = f"Finds {counts.tp:,} of {plural(counts.defective, 'defective picture')}"
    if counts.defective and counts.good:
        return f"{found} and raises {alarms} among {counts.good:,} good {'one' if counts.good == 1 else 'ones'}."
    if counts.defective:
        return f"{found}. The test holds no good picture, so it says nothing about false alarms."
    if counts.good:
        seen = plural(counts.good, "good picture")
        return f"Raises {alarms} among {seen}. The test holds no defective picture, so it says nothing about misses."
    return "The test holds no labelled picture, so it says nothing about misses or false alarms."


def threshold_of(calibration: Mapping[str, Any], level: str) -> Mapping[str, Any] | None:
    """Return the threshold of a level for all images, with its promise, from the content of calibration.json.

    Args:
        calibration: ``image`` and ``pixel`` hold scopes, of which ``all`` is one; or, in runs of Loupe 0.1, that alone.
        level: ``image`` or ``pixel``.
    """
    scopes: Mapping[str, Any] | None = calibration.get(level)
    if not scopes:
        return None
    return scopes if "value" in scopes else scopes.get("all")


def kind_thresholds(calibration: Mapping[str, Any]) -> dict[str, float]:
    """Return thresholds of the kinds that have their own, in raw score units."""
    kinds = (calibration.get("image") or {}).get("kind") or {}
    return {str(kind): float(chosen["value"]) for kind, chosen in kinds.items()}


def _quotient(part: int, whole: int) -> float | None:
    return part / whole if whole else None
