"""The median over many cells, quickly: NumPy's selects several pivots, which no vector instruction helps."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

ENOUGH = 1001  # cells: the median of so many, spread evenly, differs from that of all by less than any noise


def median_cell(cell_NSS: npt.NDArray[np.floating], most: int = ENOUGH) -> npt.NDArray[np.float32]:
    """Return the median of cells pixel by pixel, (S, S): of ``most`` of them, spread evenly, where there are more."""
    if len(cell_NSS) > most:
        cell_NSS = cell_NSS[spread_evenly(np.arange(len(cell_NSS)), most)]
    flat_NP = np.ascontiguousarray(cell_NSS.reshape(len(cell_NSS), -1))
    ordered = np.ascontiguousarray(cv2.transpose(flat_NP))  # in blocks that stay in the processor's cache
    ordered.sort(axis=1)
    low, high = ordered[:, (len(cell_NSS) - 1) // 2], ordered[:, len(cell_NSS) // 2]
    return np.asarray((low + high) / 2, dtype=np.float32).reshape(cell_NSS.shape[1:])


def spread_evenly(index_N: npt.NDArray[np.intp], most: int = ENOUGH) -> npt.NDArray[np.intp]:
    """Return ``most`` of some indices, spread evenly, or all where there are no more."""
    if len(index_N) <= most:
        return index_N
    return np.asarray(index_N[np.linspace(0, len(index_N) - 1, most).astype(np.intp)])


def quantile(value_NP: npt.NDArray[np.floating], share: float) -> npt.NDArray[np.float64]:
    """Return a quantile of every row, (N,), interpolated between the two values beside it."""
    place = share * (value_NP.shape[1] - 1)
    below = min(int(place), value_NP.shape[1] - 2)
    parted = np.partition(value_NP, below, axis=1)
    low_N, high_N = parted[:, below].astype(np.float64), parted[:, below + 1 :].min(axis=1)
    return np.asarray(low_N + (place - below) * (high_N - low_N), dtype=np.float64)
