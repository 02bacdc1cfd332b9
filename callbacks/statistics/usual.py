"""What a model knows of its own images, so that it can tell others from them: one by one, and as a whole set.

Needs NumPy alone: the runner of a bundle holds the same code. Plain values travel in checkpoints and in ``spec.json``.

Letters: N images, F facts, H and W pixels of a map.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .drift import Drift, compare_sets, with_limits
from .examined import Examined, FactCompared, plain
from .novelty import FACTS, FEWEST, RATE, Facts, Limits, find_limits, rounded, unusual

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEVEL = "level"  # the fact that a model's map tells
EMBEDDING = "embedding"  # the fact that a model's features tell; all others are the file's
MOST_REFERENCES = 250  # reference images of each sort, with and without a level, that travel with the model
COMPARED = 2000  # images of a set that the test compares at most: it has power to spare by then
Floats = npt.NDArray[np.float64]


def map_level(map_HW: npt.NDArray[Any], level_range: tuple[float, float]) -> float:
    """Say how near half of an image's map is to the pixel threshold: 0 as in good images, 1 at the threshold.

    A defect covers less than half of an image, and does not move it. In another light, all patches are far from those
    that the model knows: this is what its features say of the whole image, and every model and every bundle has it.
    """
    middle = (map_HW.size - 1) // 2
    median = float(np.partition(map_HW.reshape(-1), middle)[middle])
    return (median - level_range[0]) / (level_range[1] - level_range[0])


@dataclass(frozen=True)
class Usual:
    """What is usual.

    Attributes:
        limits: Of each fact that enough images tell.
        reference_NF: Facts of images of the training, in the order of ``FACTS``; NaN where unknown.
        group_N: Their groups, by number.
        kind_N: Their sub-populations.
        level_range: Raw map values at which an image's level is 0 and 1; None where maps tell no level.
    """

    limits: Mapping[str, Limits]
    reference_NF: Floats
    group_N: npt.NDArray[np.int64]
    kind_N: tuple[str, ...] = ()
    level_range: tuple[float, float] | None = None

    @classmethod
    def learn(
        cls,
        columns: Mapping[str, Sequence[float]],
        group_N: Sequence[str],
        kind_N: Sequence[str] = (),
        level_range: tuple[float, float] | None = None,
    ) -> Usual:
        """Learn from the facts of images that are as they should be.

        Args:
            columns: Values of each fact, NaN where unknown; a fact may be missing.
            group_N: The group of each image.
            kind_N: The sub-population of each; empty: there are none.
            level_range: As above.
        """
        count = len(group_N)
        unknown = np.full(count, np.nan)
        value_NF = np.stack([np.asarray(columns.get(name, unknown), np.float64) for name in FACTS], axis=1)
        codes = _codes(group_N)
        found = {name: find_limits(name, value_NF[:, fact], codes) for fact, name in enumerate(FACTS)}
        # Left-out images lie a little further out than fresh ones: by this, no set is compared.
        value_NF[:, list(FACTS).index(EMBEDDING)] = np.nan
        chosen = _spread(np.isfinite(value_NF[:, list(FACTS).index(LEVEL)]))
        return cls(
            {name: limits for name, limits in found.items() if limits is not None},
            np.vectorize(rounded, otypes=[np.float64])(value_NF[chosen]) if len(chosen) else value_NF[chosen],
            codes[chosen],
            tuple(kind_N[index] for index in chosen) if kind_N else ("",) * len(chosen),
            level_range,
        )

    @property
    def note(self) -> str:
        """Say where there is too little to tell anything; empty where there is enough."""
        if self.limits:
            return ""
        return (
            f"Only {len(self.group_N)} good images to learn from: fewer than {FEWEST} tell nothing of what is usual, "
            "and no image is flagged as unlike them."
        )

    def level(self, map_HW: npt.NDArray[Any]) -> float:
        """Return the level of an image's map; NaN where maps tell none."""
        return math.nan if self.level_range is None else map_level(map_HW, self.level_range)

    def without(self, fact: str) -> Usual:
        """Flag no image by a fact, where nothing can tell it."""
        return replace(self, limits={name: found for name, found in self.limits.items() if name != fact})

    def judge(self, facts: Facts) -> str:
        """Say which facts of an image are unusual, and what would be usual; empty where none is."""
        return "; ".join(unusual(facts, self.limits))

    def examine(
        self,
        facts_N: Sequence[Facts],
        group_N: Sequence[str],
        name_N: Sequence[str],
        kind_N: Sequence[str] = (),
        counted_N: Sequence[bool] | None = None,
    ) -> Examined:
        """Examine a set.

        Args:
            facts_N: Facts of each image.
            group_N: Its group.
            name_N: Its name.
            kind_N: Its sub-population; empty: there are none.
            counted_N: Whether it counts for the set as a whole: where labels are known, good images do; None: all do.
        """
        value_NF = np.array([[facts.get(name, np.nan) for name in FACTS] for facts in facts_N], np.float64)
        value_NF = value_NF.reshape(-1, len(FACTS))
        counted = np.arange(len(facts_N)) if counted_N is None else np.flatnonzero(np.asarray(counted_N, bool))
        counted = counted[np.linspace(0, max(len(counted) - 1, 0), min(len(counted), COMPARED)).round().astype(np.intp)]
        codes = _codes(group_N)
        drift = compare_sets(self.reference_NF, self.group_N, value_NF[counted], codes[counted])
        drift = with_limits(drift, self._beyond(facts_N, counted, codes), self.rate)
        kinds = np.asarray(kind_N, dtype=str)[counted] if kind_N else np.zeros(len(counted), dtype=str)
        outside_N = [[name for name in self.limits if unusual(facts, {name: self.limits[name]})] for facts in facts_N]
        first = next((index for index, names in enumerate(outside_N) if names), None)
        counts = Counter(name for names in outside_N for name in names)
        return Examined(
            images=len(facts_N),
            flagged=sum(1 for names in outside_N if names),
            counts=tuple(counts.most_common()),
            example="" if first is None else f"{name_N[first]}: {self.judge(facts_N[first])}",
            drift=drift,
            facts=tuple(
                FactCompared(
                    name,
                    *self.limits[name][:2],
                    counts[name],
                    _median(value_NF[counted, index]),
                    _median(self.reference_NF[:, index]),
                    drift.by_fact[index],
                )
                for index, name in enumerate(FACTS)
                if name in self.limits
            ),
            kinds=self._by_kind(value_NF[counted], codes[counted], kinds),
        )

    @property
    def rate(self) -> float:
        """Of fresh groups that have an image beyond any limit, at most."""
        return sum(RATE if FACTS[name].far_alone else 2 * RATE for name in self.limits)

    def _beyond(
        self, facts_N: Sequence[Facts], row_N: npt.NDArray[np.intp], group_N: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Tell of every group whether one of its images among some rows lies beyond the limits of each fact (G, F)."""
        code_N = _codes(group_N[row_N].astype(str).tolist())
        beyond_GF = np.zeros((int(code_N.max(initial=-1)) + 1, len(FACTS)), bool)
        for index, name in enumerate(FACTS):
            limits = {name: self.limits[name]} if name in self.limits else {}
            for code, row in zip(code_N, row_N, strict=True):
                beyond_GF[code, index] |= bool(limits and unusual(facts_N[row], limits))
        return beyond_GF

    def _by_kind(
        self, value_NF: Floats, group_N: npt.NDArray[np.int64], kind_N: npt.NDArray[np.str_]
    ) -> tuple[tuple[str, Drift], ...]:
        """Compare each kind of a set with the same kind of the reference, or with all of it where that is too small."""
        names = [str(kind) for kind in np.unique(kind_N)]
        if len(names) < 2:
            return ()
        found = []
        for kind in names:
            own = np.array([other == kind for other in self.kind_N], dtype=bool)
            like = own if own.sum() >= FEWEST else np.ones(len(own), dtype=bool)
            mine = kind_N == kind
            found.append(
                (kind, compare_sets(self.reference_NF[like], self.group_N[like], value_NF[mine], group_N[mine]))
            )
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; None where unknown."""
        return {
            "limits": {name: list(limits) for name, limits in self.limits.items()},
            "reference": {
                name: [plain(value) for value in self.reference_NF[:, fact].tolist()] for fact, name in enumerate(FACTS)
            },
            "groups": self.group_N.tolist(),
            "kinds": list(self.kind_N),
            "level_range": None if self.level_range is None else list(self.level_range),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Usual:
        """Take what ``to_dict`` gave.

        Raises:
            ValueError: It is something else.
        """
        try:
            return cls._from_dict(values)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            expected = "Expected what is usual of images as it was noted, but could not read it"
            raise ValueError(f"{expected}: {error!r}") from error

    @classmethod
    def _from_dict(cls, values: Mapping[str, Any]) -> Usual:
        count = len(values["groups"])
        columns = [[_known(value) for value in values["reference"].get(name, [None] * count)] for name in FACTS]
        limits = {name: Limits(*found) for name, found in values["limits"].items() if name in FACTS}
        if any(not one.low <= one.high for one in limits.values()):
            raise ValueError("a lower limit is not below its upper one")
        level_range = values["level_range"]
        if level_range is not None and not level_range[0] < level_range[1]:
            raise ValueError("level_range does not ascend")
        return cls(
            limits,
            np.array(columns, np.float64).reshape(len(FACTS), count).T,
            np.array(values["groups"], np.int64),
            tuple(values["kinds"]),
            None if level_range is None else (level_range[0], level_range[1]),
        )


def _spread(has_level_N: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Choose at most ``MOST_REFERENCES`` images with a level and as many without, evenly, in their order."""
    parts = []
    for rows in (np.flatnonzero(has_level_N), np.flatnonzero(~has_level_N)):
        step = np.linspace(0, max(len(rows) - 1, 0), min(len(rows), MOST_REFERENCES)).round().astype(np.intp)
        parts.append(rows[step])
    return np.sort(np.concatenate(parts))


def _codes(names: Sequence[str]) -> npt.NDArray[np.int64]:
    return np.unique(np.asarray(names, dtype=str), return_inverse=True)[1].astype(np.int64)


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else math.nan


def _known(value: float | None) -> float:
    return math.nan if value is None else float(value)
