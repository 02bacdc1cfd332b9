"""Spatial anomaly: an inclusion that is large, and far from others that are as large ("weighted k-th neighbour").

From inclusion i to j it is ``d(i, j) = (A_i / A_j)^4 max(gap, 1e-5)``, A the areas; raw is ``A_i d_(k)^2`` with the
k-th smallest. Small inclusions weigh next to nothing as neighbours, so that the k-th is found among the few large ones,
and among those very near: all others are left out by a bound that is proved for each, and nothing is approximated.

Letters: N inclusions, M of them in a chunk that lies together, C candidates for their neighbours.

Source: MLography, spatial_anomaly.py (its parallel path); Sci Rep 12:4776.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .gaps import Floats, gaps

if TYPE_CHECKING:
    import numpy.typing as npt

NEIGHBOUR = 50  # k
POWER = 4  # of the ratio of areas
MIN_GAP = 1e-5
SIGMAS = 2.0  # of the scores that are taken off them
FLOOR = 1e-5
CHUNK = 256  # inclusions whose neighbours are found at a time
LARGEST = 192  # inclusions of a map that are everybody's candidates
CELLS = 4_000_000  # of the largest table of distances: 32 MB


def raw_spatial(box_N4: Floats, area_N: Floats, neighbour: int = NEIGHBOUR) -> Floats:
    """Return the raw spatial anomaly of inclusions, (N,), above 0.

    Args:
        box_N4: Boxes as ``gaps.boxes_of`` returns them.
        area_N: In pixels.
        neighbour: k; where there are no more inclusions than that, the farthest neighbour counts, and a single
            inclusion has none: 0.
    """
    count = len(area_N)
    if count < 2:
        return np.zeros(count)
    k = min(neighbour, count - 1)
    weight_N = area_N.astype(np.float64) ** -POWER
    large = np.argsort(weight_N, kind="stable")[: max(LARGEST, k + 1)]
    distance_N = np.empty(count)
    for some in _chunks(box_N4):
        distance_N[some] = _kth_distances(box_N4, weight_N, some, large, k)
    return area_N * (area_N.astype(np.float64) ** POWER * distance_N) ** 2


def normalised_spatial(raw_N: Floats) -> Floats:
    """Return spatial anomaly in [0, 1] among the inclusions of one map.

    The logarithm is stretched to [0, 1]; two standard deviations are taken off, which leaves the least at 0; and the
    rest is stretched again. All are 0 where all are alike.
    """
    if not len(raw_N):
        return raw_N
    stretched_N = stretched(np.log(np.where(raw_N > 0, raw_N, FLOOR)))
    return stretched(np.maximum(stretched_N - SIGMAS * stretched_N.std(), FLOOR))


def stretched(value_N: Floats) -> Floats:
    """Return values stretched to [0, 1]; zeros where all are alike."""
    if not len(value_N):
        return value_N
    width = np.ptp(value_N)
    return (value_N - value_N.min()) / width if width > 0 else np.zeros_like(value_N)


def _chunks(box_N4: Floats) -> list[npt.NDArray[np.intp]]:
    """Divide inclusions into chunks of neighbours: strips down the map, each by its columns."""
    count = len(box_N4)
    strips = max(1, round((count / CHUNK) ** 0.5))
    by_row = np.argsort(box_N4[:, 0] + box_N4[:, 1], kind="stable")
    across = box_N4[:, 2] + box_N4[:, 3]
    chunks = []
    for strip in np.array_split(by_row, strips):
        ordered = strip[np.argsort(across[strip], kind="stable")]
        chunks += np.array_split(ordered, max(1, round(len(ordered) / CHUNK)))
    return chunks


def _kth_distances(
    box_N4: Floats, weight_N: Floats, some: npt.NDArray[np.intp], large: npt.NDArray[np.intp], k: int
) -> Floats:
    """Return the k-th smallest ``max(gap, 1e-5) / A_j^4`` of some inclusions that lie together, (M,).

    The k-th among a first few is a bound for each: what cannot be nearer than the largest bound, seen from the box
    around all of them, is not a candidate.
    """
    first = np.union1d(some, large)
    bound = _kth_of(box_N4, weight_N, some, first, k).max()
    around = box_N4[some]
    box_14 = np.array(
        [[around[:, 0].min(), around[:, 1].max(), around[:, 2].min(), around[:, 3].max()]], dtype=np.float64
    )
    nearest_N = np.maximum(gaps(box_14, box_N4)[0], MIN_GAP) * weight_N
    candidates = np.flatnonzero(nearest_N <= bound * (1 + 1e-9))
    rows = max(1, CELLS // len(candidates))
    parts = [
        _kth_of(box_N4, weight_N, some[start : start + rows], candidates, k) for start in range(0, len(some), rows)
    ]
    return np.concatenate(parts)


def _kth_of(
    box_N4: Floats, weight_N: Floats, some: npt.NDArray[np.intp], candidates: npt.NDArray[np.intp], k: int
) -> Floats:
    """Return the k-th smallest weighted distance of some inclusions to candidates other than themselves, (M,)."""
    away_MC = gaps(box_N4[some], box_N4[candidates])
    np.maximum(away_MC, MIN_GAP, out=away_MC)
    away_MC *= weight_N[candidates]
    away_MC[some[:, None] == candidates] = np.inf
    return np.partition(away_MC, k - 1, axis=1)[:, k - 1]
