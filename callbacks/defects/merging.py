"""Merging fragments: regions whose nearest pixels are close belong together.

A cut scratch is one defect, and two pits beside each other are two, whatever the distance of their centres: what
counts is the gap between the regions. Single linkage on that gap needs the nearest pairs of pixels only, and those are
among the edges of their Delaunay triangulation, which contains the shortest tree that spans them. So it takes
O(P log P), however many regions there are.

Shape letters: R regions, P pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from callbacks.statistics.curves import FloatArray


def merge_near(
    region_P: npt.NDArray[np.integer], point_P2: FloatArray, regions: int, gap: float
) -> npt.NDArray[np.int64]:
    """Merge regions by single linkage on the smallest distance between their pixels.

    Args:
        region_P: The region of each pixel, from 0; the pixels on the outlines suffice.
        point_P2: Their positions, in any unit.
        regions: Number of regions R.
        gap: Regions at most this far apart are merged, in the unit of the positions; 0 merges none.

    Returns:
        (R,) the number of the merged region that each region belongs to, from 0.

    Source: Gower and Ross, "Minimum spanning trees and single linkage cluster analysis", Applied Statistics 18, 1969.
    """
    if gap <= 0 or regions < 2:
        return np.arange(regions)
    from scipy.sparse import coo_array  # noqa: PLC0415 - bundles hold this file, and need SciPy for merging alone
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 - SciPy, for merging alone
    from scipy.spatial import Delaunay  # noqa: PLC0415 - SciPy, for merging alone

    # Four corners far away, so that pixels in one line are triangulated too; they join no two regions.
    low, high = point_P2.min(axis=0), point_P2.max(axis=0)
    away = 10 * (high - low).max() + 10
    corners = np.array([[low[0] - away, low[1] - away], [low[0] - away, high[1] + away * 1.1]])
    corners = np.concatenate([corners, [[high[0] + away * 1.2, low[1] - away], high + away * 1.3]])
    triangles = Delaunay(np.concatenate([point_P2, corners])).simplices
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = edges[(edges < len(point_P2)).all(axis=1)]
    near = np.hypot(*(point_P2[edges[:, 0]] - point_P2[edges[:, 1]]).T) <= gap
    first, second = region_P[edges[near]].T
    graph = coo_array((np.ones(first.size), (first, second)), shape=(regions, regions))
    _, merged = connected_components(graph, directed=False)
    return np.asarray(merged, dtype=np.int64)
