"""Distances between the boxes around objects.

Letters: M and N objects. A box is a row of four: top, bottom, left and right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Floats: TypeAlias = npt.NDArray[np.float64]

MARGIN = 1  # pixels that MLography's boxes reach beyond the object on every side: its gaps are two pixels smaller


def boxes_of(table: pd.DataFrame) -> Floats:
    """Return the boxes (N, 4) of an object table, with MLography's margin."""
    box_N4 = table[["top", "bottom", "left", "right"]].to_numpy(np.float64)
    return np.asarray(box_N4 + np.array([-MARGIN, MARGIN, -MARGIN, MARGIN]))


def gaps(box_M4: Floats, box_N4: Floats) -> Floats:
    """Return the distances (M, N) between boxes in pixels: 0 where two touch or overlap."""
    down = np.maximum(box_M4[:, None, 0] - box_N4[:, 1], box_N4[:, 0] - box_M4[:, None, 1])
    np.maximum(down, 0, out=down)
    aside = np.maximum(box_M4[:, None, 2] - box_N4[:, 3], box_N4[:, 2] - box_M4[:, None, 3])
    np.maximum(aside, 0, out=aside)
    return np.hypot(down, aside, out=down)
