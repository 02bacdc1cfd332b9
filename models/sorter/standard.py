"""Standards: what one array taught, kept so that single cells can be judged by it where their own array is not at hand.

A standard is the array's reference, the spread of its measures and the limits of its layers, in plain values: it
travels in checkpoints and bundles. Nothing here needs torch.

Letters: N cells, S side of a cell in pixels, K standards, M numbers of a standard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from .alignment import find_pillars, shifted
from .layers import CLASSES, MEASURED, classes_of, scores_of
from .light import own_relief
from .measures import Gauge, Spread, beside_reference, make_gauge, measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .layers import Sorted

Floats = npt.NDArray[np.floating]
Plane = npt.NDArray[np.float32]

SMOOTH = 1.0  # pixels: a map shows what is larger
NUMBERS = 3 + 2 * len(MEASURED) + len(CLASSES)  # of a standard beside its reference


class Judged(NamedTuple):
    """What is said of single cells.

    Attributes:
        class_N: ``good`` or the class of the layer that took the cell.
        score_N4: What each layer measured, in parts of its limit.
        map_NSS: How far every pixel is from the reference, scaled to the cell's score.
    """

    class_N: npt.NDArray[np.str_]
    score_N4: Floats
    map_NSS: Plane


@dataclass(frozen=True)
class Standard:
    """What one array taught.

    Attributes:
        gauge: Its reference, and what the measures need.
        spreads: Of every measure.
        limits: Of every layer, in robust standard deviations.
        usual: How dark a cell usually is.
    """

    gauge: Gauge
    spreads: dict[str, Spread]
    limits: tuple[float, ...]
    usual: float

    @classmethod
    def of(cls, gauge: Gauge, found: Sorted) -> Standard:
        """Take the standard of a sorted array."""
        return cls(gauge, found.spreads, tuple(layer.limit for layer in found.layers), found.usual)

    @property
    def numbers(self) -> list[float]:
        """Return all that is not the reference, in the order that ``restored`` reads, (M,)."""
        spreads = [value for name in MEASURED for value in self.spreads[name]]
        return [self.gauge.depth, float(self.gauge.dark_ground), self.usual, *spreads, *self.limits]

    @classmethod
    def restored(cls, reference_SS: Plane, number_M: Sequence[float]) -> Standard:
        """Restore a standard from its reference and its numbers."""
        depth, dark, usual, *rest = (float(value) for value in number_M)
        pairs = zip(rest[0 : 2 * len(MEASURED) : 2], rest[1 : 2 * len(MEASURED) : 2], strict=True)
        spreads = {name: Spread(*pair) for name, pair in zip(MEASURED, pairs, strict=True)}
        gauge = make_gauge(reference_SS, depth, dark_ground=dark > 0)
        return cls(gauge, spreads, tuple(rest[2 * len(MEASURED) :]), usual)


def judge_cells(grey_NSS: Plane, standards: Sequence[Standard], factor_4: Sequence[float] = (1.0,) * 4) -> Judged:
    """Judge single cells, each by the standard whose reference it is most like.

    Args:
        grey_NSS: Grey values in [0, 1], of the size of the references.
        standards: At least one.
        factor_4: By which the limits of the layers are multiplied: what labels taught.
    """
    relief_NSS = own_relief(grey_NSS).cell_NSS
    found = [find_pillars(relief_NSS, standard.gauge.reference_SS) for standard in standards]
    nearest_N = np.argmax([score_N for _, score_N in found], axis=0)
    score_N4 = np.zeros((len(grey_NSS), len(CLASSES)))
    map_NSS = np.zeros_like(relief_NSS)
    for index, (standard, (offset_N2, _)) in enumerate(zip(standards, found, strict=True)):
        chosen = np.flatnonzero(nearest_N == index)
        if len(chosen):
            cell_NSS, place_N2 = relief_NSS[chosen], offset_N2[chosen]
            score_N4[chosen] = _scores(cell_NSS, place_N2, standard)
            map_NSS[chosen] = departure(cell_NSS, place_N2, standard.gauge)
    score_N4 = score_N4 / np.asarray(factor_4)
    return Judged(classes_of(score_N4), score_N4, scaled_to(map_NSS, score_N4.max(axis=1)))


def _scores(relief_NSS: Plane, offset_N2: Floats, standard: Standard) -> Floats:
    centred_NSS = np.stack([shifted(cell, *offset) for cell, offset in zip(relief_NSS, offset_N2, strict=True)])
    measures = measure(centred_NSS, relief_NSS, offset_N2, standard.gauge)
    usual_N = np.full(len(relief_NSS), standard.usual)
    return scores_of(measures, usual_N, standard.spreads, np.asarray(standard.limits), centred_NSS, standard.gauge)


def departure(relief_NSS: Plane, offset_N2: Floats, gauge: Gauge) -> Plane:
    """Return how far every pixel is from the reference, laid over where the pillar stands, smoothed, (N, S, S)."""
    away_NSS = np.abs(beside_reference(relief_NSS, offset_N2, gauge))
    return np.stack([cv2.GaussianBlur(away, (0, 0), SMOOTH) for away in away_NSS]).astype(np.float32)


def scaled_to(map_NSS: Plane, score_N: Floats) -> Plane:
    """Scale maps so that the highest value of each is its cell's score."""
    top_N = np.maximum(map_NSS.max(axis=(1, 2)), 1e-9)
    return np.asarray(map_NSS * (np.maximum(score_N, 0) / top_N)[:, None, None], dtype=np.float32)


def cells_of_images(image_B3HW: Plane, side: int) -> Plane:
    """Turn images in [0, 1] into grey cells, (B, S, S)."""
    grey_BHW = np.asarray(image_B3HW.mean(axis=1), dtype=np.float32)
    if grey_BHW.shape[1:] == (side, side):
        return grey_BHW
    smaller = min(grey_BHW.shape[1:]) > side
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.stack([cv2.resize(grey_HW, (side, side), interpolation=how) for grey_HW in grey_BHW]).astype(np.float32)


def maps_of_images(map_NSS: Plane, size: tuple[int, ...]) -> Plane:
    """Bring the maps of cells to height and width of their images."""
    if map_NSS.shape[1:] == size:
        return map_NSS
    large = [cv2.resize(map_SS, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) for map_SS in map_NSS]
    return np.stack(large).astype(np.float32)
