"""What the predictions say, counted: the confusion matrix, its parts by kind and defect, the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from callbacks.statistics.bootstrap import wilson
from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES, UNKNOWN

from .wording import defined, plural, share, span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

MARKING = "marking"
"""What models that learn from masks are for."""


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
    """Split the labelled images by ``kind`` or ``defect``.

    By ``defect``, only defective images count: a good one has no type of defect.

    Returns:
        One part per name, in their order, but kinds with the largest share of wrong verdicts first; empty where there
        are fewer than two names, since there is nothing to compare.
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
    return parts if column == "defect" else sorted(parts, key=lambda part: -_wrong(part.confusion))


def verdict(counts: Confusion) -> str:
    """Tell what the test says, in one plain sentence, and in another what it cannot say."""
    if counts.defective and counts.good:
        return _counted(counts)
    if counts.defective:
        return f"{_counted(counts)} The test holds no good picture, so it says nothing about false alarms."
    if counts.good:
        return f"{_counted(counts)} The test holds no defective picture, so it says nothing about misses."
    return "The test holds no labelled picture, so it says nothing about misses or false alarms."


def _counted(counts: Confusion) -> str:
    """Say how many are found, and how many good ones called defective, of those that there are."""
    alarms = plural(counts.fp, "false alarm") if counts.fp else "no false alarm"
    found = f"Finds {counts.tp:,} of {plural(counts.defective, 'defective picture')}"
    if counts.defective and counts.good:
        return f"{found} and raises {alarms} among {counts.good:,} good {'one' if counts.good == 1 else 'ones'}."
    return f"{found}." if counts.defective else f"Raises {alarms} among {plural(counts.good, 'good picture')}."


def headline(counts: Confusion, metrics: Mapping[str, Any], kinds: Sequence[Part] = ()) -> str:
    """Tell what the test says, what the model is for first: how well it marks, how well it judges, and where least.

    Args:
        counts: Of all labelled images.
        metrics: As in metrics.json; ``purpose`` names what a model was trained for, where that is not to judge images.
        kinds: The same counts by kind.
    """
    return " ".join(filter(None, (_marks(metrics), verdict(counts), worst_kind(kinds))))


def _marks(metrics: Mapping[str, Any]) -> str:
    """Say how well a model that learnt from masks marks; empty for others, and where no test image has marks."""
    if metrics.get("purpose") != MARKING:
        return ""
    found = []
    for name, key in (("a Dice of", "pixel_dice"), ("a boundary F1 of", "boundary_f1")):
        estimate = metrics.get("test", {}).get(key) or {}
        if (value := defined(estimate.get("value"))) is not None:
            found.append(f"{name} {share(value)} ({span(estimate['low'], estimate['high'])})")
    return f"Marks what the masks mark with {' and '.join(found)}." if found else ""


def worst_kind(kinds: Sequence[Part]) -> str:
    """Name the kind on which most verdicts are wrong, each class counting alike; empty where all are alike."""
    wrong = {part.name: _wrong(part.confusion) for part in kinds}
    if len(set(wrong.values())) < 2:
        return ""
    worst = max(kinds, key=lambda part: wrong[part.name])
    return f"Least well on kind {worst.name}: {_lowered(_counted(worst.confusion))}"


def _wrong(counts: Confusion) -> float:
    """Mean of the shares of misses and of false alarms, as far as there are any to count."""
    shares = [part / whole for part, whole in ((counts.fn, counts.defective), (counts.fp, counts.good)) if whole]
    return sum(shares) / len(shares) if shares else 0.0


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


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
