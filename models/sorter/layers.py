"""Four layers that take the cells of an array, one class after another, and say why.

Each layer has one measure, in robust standard deviations of the array's own cells, and one limit: halfway between the
upper end of the good cells and the lower end of defects planted into them. An array without defects therefore yields
none, whatever its share, its light or its contrast.

Letters: N cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from .alignment import shifted
from .halves import distinguished
from .light import around
from .measures import Spread, measure
from .planting import plant

if TYPE_CHECKING:
    from .alignment import Aligned
    from .measures import Gauge, Measures

Floats = npt.NDArray[np.floating]
Plane = npt.NDArray[np.float32]

GOOD = "good"
CLASSES = ("Missing", "Collapsed", "Stitching", "Irregular")
GOOD_END = 4.5  # standard deviations: above the good cells of any array that was ever drawn or seen
DARK_END = 4.8  # likewise for darkness, in which light and dirt have a part
WAY = (
    0.25  # from the end of the good cells to that of the planted ones: nearer to the good, since real ones are fainter
)
PLANTED_END = 0.1  # quantile of the planted defects: their lower end
PLANTED = 32  # cells that are planted into, for every class
NEIGHBOURS = 2  # cells to each side, against which darkness is taken
MEASURED = ("absence", "darkness", "seam", "misfit", "stretch", "skew")
MIN_SPREAD = {"absence": 0.01, "darkness": 0.003, "seam": 0.05, "misfit": 0.03, "stretch": 1e-4, "skew": 1e-4}
MOST_ABSENCE = 0.09  # standard deviation: a pillar of which half is gone is missing, however much the others vary
ENOUGH = 100  # cells from which their upper quintile says how far good ones reach
NORMAL_QUINTILE = 0.8416  # upper quintile of the normal distribution, in standard deviations
STRETCH_WEIGHT = 0.3  # of a stretched outline beside one that no usual change explains
SEAM_HELP = 0.3  # of what the misfit has above ``SEAM_FROM`` and up to 5 more: a seam that also displaces counts more
SEAM_FROM = 3.0
DARK_ENOUGH = 0.7  # of the limit of darkness, where a cell is out of form as well: a disc is both
MOVED = 1.5  # times the score of its seam: a pillar that lacks no more is moved, not missing


@dataclass(frozen=True)
class Layer:
    """One layer and its limit.

    Attributes:
        name: The class that it takes.
        limit: In robust standard deviations of the array: a cell is taken from here on.
        found: Share of the planted defects that reach it, 0 to 1.
        meaning: What the measure is, in words.
    """

    name: str
    limit: float
    found: float
    meaning: str


MEANINGS = {
    "Missing": "how much of the pillar is gone",
    "Collapsed": "how much darker than its neighbours the darkest disc is",
    "Stitching": "the sharpest straight line or step across the cell, or halves that have moved",
    "Irregular": "how far the outline departs from the array's reference",
}


class Sorted(NamedTuple):
    """What the layers say of every cell.

    Attributes:
        class_N: ``good`` or the class of the layer that took the cell.
        score_N4: What each layer measured, in parts of its limit: 1 and more is taken, unless an earlier layer did.
        layers: The layers with their limits, in order.
        spreads: Of every measure over the array.
        usual: How dark a cell of the array usually is.
    """

    class_N: npt.NDArray[np.str_]
    score_N4: Floats
    layers: tuple[Layer, ...]
    spreads: dict[str, Spread]
    usual: float

    @property
    def score(self) -> Floats:
        """Return the raw score of every cell: the highest of the four, 1 and more is defective."""
        return np.asarray(self.score_N4.max(axis=1))

    def reasons(self) -> list[str]:
        """Say of every cell that was taken why; empty for good ones."""
        meanings = []
        for name, score_4 in zip(self.class_N, self.score_N4, strict=True):
            index = CLASSES.index(str(name)) if name != GOOD else -1
            meanings.append("" if index < 0 else f"{MEANINGS[CLASSES[index]]}: {score_4[index]:.2f} of the limit")
        return meanings


def sort(relief_NSS: Plane, aligned: Aligned, measures: Measures, gauge: Gauge, shape: Places, seed: int = 0) -> Sorted:
    """Sort the cells of one array.

    Args:
        relief_NSS: Relief of the cells, as they lie.
        aligned: The same with their pillars in the middle.
        measures: Of every cell.
        gauge: Of the array.
        shape: Where the cells stand in the array.
        seed: Decides what is planted where.
    """
    usual_N = neighbours_darkness(measures.darkness, shape)
    spreads = _spreads(measures, usual_N)
    deviation_N4 = deviations(measures, usual_N, spreads)
    donors = np.argsort(np.maximum(deviation_N4, 0).max(axis=1), kind="stable")[: max(len(usual_N) // 2, 1)]
    rng = np.random.default_rng(seed)
    planted = [_planted(name, relief_NSS, aligned, usual_N, donors, gauge, rng) for name in CLASSES]
    limit_4 = np.array(
        [
            limit_between(
                deviations(one.measures, one.usual_N, spreads)[:, index],
                DARK_END if name == "Collapsed" else GOOD_END,
            )
            for index, (name, one) in enumerate(zip(CLASSES, planted, strict=True))
        ]
    )
    layers = []
    for index, (name, one) in enumerate(zip(CLASSES, planted, strict=True)):
        found_N4 = scores_of(one.measures, one.usual_N, spreads, limit_4, one.cell_NSS, gauge)
        layers.append(Layer(name, float(limit_4[index]), float((found_N4[:, index] >= 1).mean()), MEANINGS[name]))
    score_N4 = scores_of(measures, usual_N, spreads, limit_4, aligned.cell_NSS, gauge)
    return Sorted(classes_of(score_N4), score_N4, tuple(layers), spreads, float(np.median(usual_N)))


class _Planted(NamedTuple):
    """Cells with a planted defect, centred: what they look like, their measures, and how dark cells there are."""

    cell_NSS: Plane
    measures: Measures
    usual_N: Floats


def _planted(
    name: str,
    relief_NSS: Plane,
    aligned: Aligned,
    usual_N: Floats,
    donors: npt.NDArray[np.intp],
    gauge: Gauge,
    rng: np.random.Generator,
) -> _Planted:
    """Plant one kind of defect into some of the donors."""
    chosen = rng.choice(donors, PLANTED)
    offset_N2 = aligned.offset_N2[chosen]
    planted = plant(name, relief_NSS[chosen], offset_N2, gauge, rng)
    cell_NSS = np.stack([shifted(cell, *offset) for cell, offset in zip(planted, offset_N2, strict=True)])
    return _Planted(cell_NSS, measure(cell_NSS, planted, offset_N2, gauge), usual_N[chosen])


def scores_of(
    measures: Measures, usual_N: Floats, spreads: dict[str, Spread], limit_4: Floats, aligned_NSS: Plane, gauge: Gauge
) -> Floats:
    """Return the score of every layer, in parts of its limit, (N, 4), seams and irregular cells told apart."""
    score_N4 = deviations(measures, usual_N, spreads) / limit_4
    score_N4[score_N4[:, 3] >= 1, 1] /= DARK_ENOUGH
    return distinguished(score_N4, aligned_NSS, gauge, spreads["misfit"])


def classes_of(score_N4: Floats) -> npt.NDArray[np.str_]:
    """Let the layers take cells, one after another; the first whose limit a cell reaches names it."""
    taken_N4 = score_N4 >= 1
    taken_N4[:, 0] &= ~taken_N4[:, 1]  # where a dark disc lies, the pillar has gone, but is not merely missing
    # What has a clear step and is out of form is there, but elsewhere.
    taken_N4[:, 0] &= ~(taken_N4[:, 2:].all(axis=1) & (score_N4[:, 0] < MOVED * score_N4[:, 2]))
    names = np.array([*CLASSES, GOOD])
    return np.asarray(names[np.where(taken_N4.any(axis=1), taken_N4.argmax(axis=1), len(CLASSES))])


class Places(NamedTuple):
    """Where the cells of an array stand.

    Attributes:
        shape: Rows and columns.
        index_N: Place of every cell, row by row.
    """

    shape: tuple[int, int]
    index_N: npt.NDArray[np.intp]

    def spread_out(self, value_N: Floats) -> Floats:
        """Return values as rows and columns, NaN where there is no cell."""
        value_RC = np.full(self.shape[0] * self.shape[1], np.nan)
        value_RC[self.index_N] = value_N
        return value_RC.reshape(self.shape)

    def neighbours(self, value_N: Floats, reach: int = NEIGHBOURS) -> Floats:
        """Return for every cell the median over the cells around it, itself included."""
        return around(self.spread_out(value_N), np.nanmedian, reach).ravel()[self.index_N]


def neighbours_darkness(darkness_N: Floats, places: Places) -> Floats:
    """Return how dark the cells around every cell are: the light of one array need not be even."""
    return places.neighbours(darkness_N)


def limit_between(planted_N: Floats, good_end: float = GOOD_END) -> float:
    """Return the limit of a layer, in standard deviations: part of the way from the good cells' end to the planted."""
    lower_end = float(np.quantile(planted_N, PLANTED_END))
    return good_end + WAY * max(lower_end - good_end, 0.0)


def deviations(measures: Measures, usual_N: Floats, spreads: dict[str, Spread]) -> Floats:
    """Return the measure of every layer in robust standard deviations, (N, 4)."""
    form_N = outline_deviation(measures, spreads)
    seam_N = spreads["seam"].of(np.log(np.maximum(measures.seam, 1e-9)))
    return np.stack(
        [
            spreads["absence"].of(measures.absence),
            spreads["darkness"].of(measures.darkness - usual_N),
            seam_N + SEAM_HELP * np.clip(form_N - SEAM_FROM, 0, 5),
            form_N,
        ],
        axis=1,
    )


def outline_deviation(measures: Measures, spreads: dict[str, Spread]) -> Floats:
    """Join what no usual change explains with how far the pillar is stretched."""
    left_N = np.maximum(spreads["misfit"].of(measures.misfit), 0)
    stretched_N = spreads["stretch"].of(measures.stretch) ** 2 + spreads["skew"].of(measures.skew) ** 2
    return np.sqrt(left_N**2 + STRETCH_WEIGHT * stretched_N)


def spread_of(value_N: Floats, minimum: float) -> Spread:
    """Return median and median absolute deviation (scaled to a normal distribution's standard deviation)."""
    median = float(np.median(value_N))
    return Spread(median, max(1.4826 * float(np.median(np.abs(value_N - median))), minimum))


def upper_deviation(value_N: Floats) -> float:
    """Return the standard deviation that the upper quintile of a normal distribution would have; 0 for few cells.

    Shots that are darker at their rims give the darkness of good cells a long upper end, which the median absolute
    deviation does not see. A fifth of the cells may be collapsed before this is wrong.
    """
    if len(value_N) < ENOUGH:
        return 0.0
    return float(np.quantile(value_N, 0.8) - np.median(value_N)) / NORMAL_QUINTILE


def _spreads(measures: Measures, usual_N: Floats) -> dict[str, Spread]:
    values = {
        "absence": measures.absence,
        "darkness": measures.darkness - usual_N,
        "seam": np.log(np.maximum(measures.seam, 1e-9)),
        "misfit": measures.misfit,
        "stretch": measures.stretch,
        "skew": measures.skew,
    }
    spreads = {name: spread_of(value_N, MIN_SPREAD[name]) for name, value_N in values.items()}
    absence, darkness = spreads["absence"], spreads["darkness"]
    return spreads | {
        "absence": Spread(absence.median, min(absence.deviation, MOST_ABSENCE)),
        "darkness": Spread(darkness.median, max(darkness.deviation, upper_deviation(values["darkness"]))),
    }
