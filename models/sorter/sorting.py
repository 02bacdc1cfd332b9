"""From the cells of one array to its sorted table: the way into the sorter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from .context import describe
from .judging import JudgedArray, chosen, judge_array
from .layers import CLASSES, GOOD, Layer
from .ranking import Ranking, inconsistency

if TYPE_CHECKING:
    from .cells import ArrayCells
    from .seams import Seam

Plane = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SortedArray:
    """One sorted array.

    Attributes:
        name: Of the array.
        shape: Rows and columns.
        table: One row per cell: ``array, row, col, x, y, class, score``, ``score_missing`` to ``score_irregular``,
            ``reason``, every feature, ``inconsistency``, ``outlier`` and ``rank`` (1 the least consistent).
        layers: With their limits.
        seams: Straight seams of the image; none where there are only tiles.
        grey_NSS: The cells in grey, in the order of the table.
    """

    name: str
    shape: tuple[int, int]
    table: pd.DataFrame
    layers: tuple[Layer, ...]
    seams: tuple[Seam, ...]
    grey_NSS: Plane

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
    judged = judge_array(cells, seed)
    grey_NSS = chosen(cells.grey_NSS, judged.present)
    described = describe(grey_NSS, judged) if features else None
    columns = pd.DataFrame({"likeness": judged.measures.likeness}) if described is None else described
    score_N, outlier_N = inconsistency(columns.to_numpy(), judged.measures.likeness, ranking, seed)
    rank_N = np.empty(len(score_N), dtype=np.intp)
    rank_N[np.argsort(-score_N, kind="stable")] = np.arange(1, len(score_N) + 1)
    order = pd.DataFrame({"inconsistency": score_N, "outlier": outlier_N, "rank": rank_N})
    table = pd.concat([_table(cells, judged), columns, order], axis=1)
    return SortedArray(cells.name, cells.shape, table, judged.found.layers, judged.seams, grey_NSS)


def _table(cells: ArrayCells, judged: JudgedArray) -> pd.DataFrame:
    present, found = judged.present, judged.found
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
