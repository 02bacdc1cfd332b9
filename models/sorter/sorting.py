"""From the cells of one array to its sorted table: the way into the sorter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from .alignment import align
from .cells import relief
from .context import describe
from .layers import CLASSES, GOOD, Layer, Places, Sorted, sort
from .measures import make_gauge, measure
from .ranking import Ranking, inconsistency
from .seams import Seam, cells_on, find_seams
from .standard import Standard, departure

if TYPE_CHECKING:
    from .cells import ArrayCells

Plane = npt.NDArray[np.float32]

MIN_CELLS = 6  # of which a reference can be taken


@dataclass(frozen=True)
class SortedArray:
    """One sorted array.

    Attributes:
        name: Of the array.
        shape: Rows and columns.
        table: One row per cell: ``array, row, col, x, y, class, score``, ``score_missing`` to ``score_irregular``,
            ``reason``, every feature, ``inconsistency``, ``outlier`` and ``rank`` (1 the least consistent).
        layers: With their limits.
        seams: Straight seams of the picture; none where there are only tiles.
        grey_NSS: The cells in grey, in the order of the table.
        standard: What a cell of this array is judged against, wherever it lies.
        departure_NSS: How far every pixel is from the reference, in parts of the light.
    """

    name: str
    shape: tuple[int, int]
    table: pd.DataFrame
    layers: tuple[Layer, ...]
    seams: tuple[Seam, ...]
    grey_NSS: Plane
    standard: Standard
    departure_NSS: Plane

    @property
    def counts(self) -> dict[str, int]:
        """Cells of every class, good ones first."""
        counted = self.table["class"].value_counts()
        return {name: int(counted.get(name, 0)) for name in (GOOD, *CLASSES)}


def sort_array(
    cells: ArrayCells, *, ranking: Ranking = "likeness", features: bool = True, seed: int = 0
) -> SortedArray:
    """Sort the cells of one array.

    Args:
        cells: Of the array.
        ranking: What orders the cells.
        features: Whether to describe every cell by all features; classes alone take a fifth of the time.
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
    place_N2 = cells.places[present]
    seen = relief(cells)
    relief_NSS = seen.cell_NSS[present]
    aligned = align(relief_NSS, place_N2, loose=cells.image_HW is None)
    gauge = make_gauge(aligned.reference_SS, seen.depth, dark_ground=seen.dark_ground, angle=cells.angle, rim=cells.rim)
    measures = measure(aligned.cell_NSS, relief_NSS, aligned.offset_N2, gauge)
    found = sort(relief_NSS, aligned, measures, gauge, places, seed)
    seams = find_seams(cells.image_HW, cells.pitch) if cells.image_HW is not None and cells.pitch else []
    if cells.window_N4 is not None:
        found = with_seams(found, cells_on(seams, cells.window_N4[present]))
    grey_NSS = cells.grey_NSS[present]
    table = _table(cells, present, found)
    described = describe(grey_NSS, aligned.cell_NSS, measures, gauge, places) if features else None
    columns = pd.DataFrame({"likeness": measures.likeness}) if described is None else described
    score_N, outlier_N = inconsistency(columns.to_numpy(), measures.likeness, ranking, seed)
    rank_N = np.empty(len(score_N), dtype=np.intp)
    rank_N[np.argsort(-score_N, kind="stable")] = np.arange(1, len(score_N) + 1)
    order = pd.DataFrame({"inconsistency": score_N, "outlier": outlier_N, "rank": rank_N})
    table = pd.concat([table, columns, order], axis=1)
    standard = Standard.of(gauge, found)
    away_NSS = departure(relief_NSS, aligned.offset_N2, gauge)
    return SortedArray(cells.name, cells.shape, table, found.layers, tuple(seams), grey_NSS, standard, away_NSS)


class TooFewCellsError(ValueError):
    """An array has too few cells to say what is usual in it."""


def with_seams(found: Sorted, crossed_N: npt.NDArray[np.bool_]) -> Sorted:
    """Call cells that a seam of the whole picture crosses stitched, unless an earlier layer took them."""
    index = CLASSES.index("Stitching")
    score_N4 = found.score_N4.copy()
    score_N4[crossed_N, index] = np.maximum(score_N4[crossed_N, index], 1.0)
    earlier = np.isin(found.class_N, CLASSES[:index])
    return found._replace(class_N=np.where(crossed_N & ~earlier, "Stitching", found.class_N), score_N4=score_N4)


def _table(cells: ArrayCells, present: npt.NDArray[np.intp], found: Sorted) -> pd.DataFrame:
    place_N2 = cells.places[present]
    table = pd.DataFrame(
        {
            "array": cells.name,
            "row": place_N2[:, 0] + cells.first[0],
            "col": place_N2[:, 1] + cells.first[1],
            "x": cells.centre_N2[present, 0].round(2),
            "y": cells.centre_N2[present, 1].round(2),
            "class": found.class_N,
            "score": found.score,
        }
    )
    for index, name in enumerate(CLASSES):
        table[f"score_{name.lower()}"] = found.score_N4[:, index]
    return table.assign(reason=found.reasons())
