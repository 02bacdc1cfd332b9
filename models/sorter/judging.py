"""From the cells of one array to what its layers say of each: all of the sorter that classes need, in NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .alignment import align
from .cells import relief
from .layers import CLASSES, Places, Sorted, sort
from .measures import make_gauge, measure
from .seams import Seam, cells_on, find_seams
from .standard import Standard, departure

if TYPE_CHECKING:
    from .alignment import Aligned
    from .cells import ArrayCells
    from .measures import Gauge, Measures

Plane = npt.NDArray[np.float32]

MIN_CELLS = 6  # of which a reference can be taken


class TooFewCellsError(ValueError):
    """An array has too few cells to say what is usual in it."""


@dataclass(frozen=True)
class JudgedArray:
    """What is said of one array; all of its cells row by row, empty places left out.

    Attributes:
        present: Place of every cell, row by row.
        places: Where the cells stand.
        relief_NSS: The cells relative to their ground.
        aligned: The same with their pillars in the middle.
        measures: Of the layers.
        gauge: What they were taken against.
        found: Classes, scores and limits.
        seams: Straight seams of the image; none where there are only tiles.
    """

    present: npt.NDArray[np.intp]
    places: Places
    relief_NSS: Plane
    aligned: Aligned
    measures: Measures
    gauge: Gauge
    found: Sorted
    seams: tuple[Seam, ...]

    @property
    def standard(self) -> Standard:
        """Return what a cell of this array is judged against, wherever it lies."""
        return Standard.of(self.gauge, self.found)

    def departures(self) -> Plane:
        """Return how far every pixel is from the reference, in parts of the light, (N, S, S)."""
        return departure(self.relief_NSS, self.aligned.offset_N2, self.gauge)


def judge_array(cells: ArrayCells, seed: int = 0) -> JudgedArray:
    """Judge the cells of one array against one another.

    Args:
        cells: Of the array.
        seed: Decides what is planted where.

    Raises:
        TooFewCellsError: There are not enough to say what is usual.
    """
    present = np.flatnonzero(cells.present)
    if len(present) < MIN_CELLS:
        raise TooFewCellsError(
            f"Expected at least {MIN_CELLS} cells in array {cells.name}, to know what is usual there, but found "
            f"{len(present)}; give the whole array."
        )
    places = Places(cells.shape, present)
    seen = relief(cells)
    relief_NSS = chosen(seen.cell_NSS, present)
    aligned = align(relief_NSS, cells.places[present], loose=cells.image_HW is None)
    gauge = make_gauge(aligned.reference_SS, seen.depth, dark_ground=seen.dark_ground, angle=cells.angle, rim=cells.rim)
    measures = measure(aligned.cell_NSS, relief_NSS, aligned.offset_N2, gauge)
    found = sort(relief_NSS, aligned, measures, gauge, places, seed)
    seams = find_seams(cells.image_HW, cells.pitch) if cells.image_HW is not None and cells.pitch else []
    if cells.window_N4 is not None:
        found = with_seams(found, cells_on(seams, cells.window_N4[present]))
    return JudgedArray(present, places, relief_NSS, aligned, measures, gauge, found, tuple(seams))


def chosen(cell_NSS: Plane, index_N: npt.NDArray[np.intp]) -> Plane:
    """Return some cells, in order; of all of them no copy is made."""
    return cell_NSS if len(index_N) == len(cell_NSS) else cell_NSS[index_N]


def with_seams(found: Sorted, crossed_N: npt.NDArray[np.bool_]) -> Sorted:
    """Call cells that a seam of the whole image crosses stitched, unless an earlier layer took them."""
    index = CLASSES.index("Stitching")
    score_N4 = found.score_N4.copy()
    score_N4[crossed_N, index] = np.maximum(score_N4[crossed_N, index], 1.0)
    earlier = np.isin(found.class_N, CLASSES[:index])
    return found._replace(class_N=np.where(crossed_N & ~earlier, "Stitching", found.class_N), score_N4=score_N4)
