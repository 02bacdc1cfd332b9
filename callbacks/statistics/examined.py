"""How unlike a set of images is to those of a training, in words and in plain values; in plain Python."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .drift import ALARM, Drift
from .novelty import FACTS, FEWEST

FORGOTTEN = (
    "This model notes nothing of the images that it was trained on, as those of earlier versions do: nobody can tell "
    "whether others are like them. Train again to know."
)


class FactCompared(NamedTuple):
    """One fact of a set: its limits, how many images lie outside them, and the median beside the usual one."""

    fact: str
    low: float
    high: float
    outside: int
    median: float
    usual_median: float
    p_value: float


def _moved(one: FactCompared) -> str:
    """Say how a fact has moved; of some, the training keeps its limits alone."""
    about = f"{FACTS[one.fact].words} {one.median:.3g}"
    if math.isnan(one.usual_median):
        return f"{about} (median; usual: {one.low:.3g} to {one.high:.3g})"
    return f"{about} instead of {one.usual_median:.3g} (medians)"


class Examined(NamedTuple):
    """How unlike a set of images is to those of the training.

    Attributes:
        images: In the set.
        flagged: Of them, those with a fact outside its limits.
        counts: How often each fact was, the most frequent first.
        example: The name of one, and why.
        drift: Of the set as a whole.
        facts: One by one.
        kinds: Of each sub-population, where there are several: an average hides what happens to one of them.
    """

    images: int
    flagged: int
    counts: tuple[tuple[str, int], ...]
    example: str
    drift: Drift
    facts: tuple[FactCompared, ...]
    kinds: tuple[tuple[str, Drift], ...] = ()

    def sentences(self) -> list[str]:
        """Say what nobody should miss; nothing where all is usual."""
        found = []
        if self.flagged:
            causes = ", ".join(f"{count} by {FACTS[name].words}" for name, count in self.counts)
            noun = "image" if self.images == 1 else "images"
            verb, whose = ("is", "Its verdict rests") if self.flagged == 1 else ("are", "Their verdicts rest")
            found.append(
                f"{self.flagged} of {self.images} {noun} {verb} unlike those of the training ({causes}); for example "
                f"{self.example}. {whose} on nothing that the model has seen."
            )
        if self.drift.p_value is None and self.drift.images >= FEWEST:
            found.append(
                f"These {self.drift.images} images fall into {self.drift.groups} group"
                f"{'' if self.drift.groups == 1 else 's'}: too few, beside those of the training, to tell whether they "
                "differ as a whole."
            )
        if self.drift.drifted:
            moved = "; ".join(
                _moved(one) for one in sorted(self.facts, key=lambda one: one.p_value) if one.p_value <= ALARM
            )
            found.append(
                f"As a whole, these {self.drift.images} images differ from those of the training (p = "
                f"{self.drift.p_value:.2g}){f': {moved}' if moved else ', though in no single fact that is measured'}. "
                "Thresholds need not hold for them: train or calibrate on images of this source."
            )
        elif kinds := [f"{kind} (p = {drift.p_value:.2g})" for kind, drift in self.kinds if self._has_moved(drift)]:
            found.append(
                f"As a whole, the images of kind {', '.join(kinds)} differ from those of the training. Thresholds need "
                "not hold for them."
            )
        return found

    def _has_moved(self, drift: Drift) -> bool:
        """Decide on one kind of several (Bonferroni)."""
        return drift.p_value is not None and drift.p_value * len(self.kinds) <= ALARM

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for metrics.json and drift.json; None where undefined."""
        return {
            "images": self.images,
            "unusual_images": self.flagged,
            "set": _set(self.drift, differs=self.drift.drifted),
            "kinds": {kind: _set(drift, differs=self._has_moved(drift)) for kind, drift in self.kinds},
            "facts": [
                {name: plain(value) if isinstance(value, float) else value for name, value in one._asdict().items()}
                for one in self.facts
            ],
        }


def _set(drift: Drift, *, differs: bool) -> dict[str, Any]:
    return {"p_value": drift.p_value, "differs": differs, "images": drift.images, "groups": drift.groups}


def plain(value: float) -> float | None:
    """Turn a number into JSON's terms, which know no NaN."""
    return value if math.isfinite(value) else None
