"""The clustering notebook's arithmetic: three layers of k-means, each of which takes its smallest cluster.

For comparison only. It takes a cluster whether there are defects or not, from all arrays in one pool.

Letters: N tiles, S side of a tile in pixels, F features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from .layers import CLASSES, GOOD
from .seed_features import centre_features, darkness_features, step_features

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from datamodules.files.images import Array

Floats = npt.NDArray[np.floating]

COMPONENTS, CLUSTERS, STARTS, RANDOM_STATE = 5, 3, 10, 42
LAYERS: tuple[Callable[[Floats], dict[str, Floats]], ...] = (centre_features, darkness_features, step_features)


def sort_by_clusters(level_NSS: Floats) -> npt.NDArray[np.str_]:
    """Return the class of every tile by the notebook's three layers: Missing, Collapsed, Stitching, or good.

    Args:
        level_NSS: Grey values 0 to 255 of the tiles of all arrays together.
    """
    class_N = np.full(len(level_NSS), GOOD, dtype="<U16")
    left = np.arange(len(level_NSS))
    for name, features in zip(CLASSES, LAYERS, strict=False):
        if len(left) < CLUSTERS:
            break
        taken = smallest_cluster(np.stack(list(features(level_NSS[left]).values()), axis=1))
        class_N[left[taken]] = name
        left = left[~taken]
    return class_N


def reflected_levels(tiles: Mapping[tuple[int, int], Array]) -> Floats:
    """Return the luma of tiles, row by row, 0 to 255; those that the array's edge cut off are reflected to full size.

    Args:
        tiles: By row and column, counted from one: (H, W) or (H, W, 3), 8 bits.
    """
    side = max(max(tile.shape[:2]) for tile in tiles.values())
    levels = []
    for (row, column), tile in sorted(tiles.items()):
        grey = tile if tile.ndim == 2 else cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY)  # ITU-R BT.601
        lack = side - grey.shape[0], side - grey.shape[1]
        pad = [
            (missing, 0) if first else (0, missing)
            for missing, first in zip(lack, (row == 1, column == 1), strict=True)
        ]
        levels.append(np.pad(grey, pad, mode="symmetric"))
    return np.stack(levels).astype(np.float64)


def smallest_cluster(feature_NF: Floats) -> npt.NDArray[np.bool_]:
    """Tell which rows lie in the smallest of three clusters of scaled principal components."""
    scaled = StandardScaler().fit_transform(np.nan_to_num(feature_NF, nan=0.0, posinf=0.0, neginf=0.0))
    reduced = PCA(min(COMPONENTS, *scaled.shape)).fit_transform(scaled)
    label_N = KMeans(CLUSTERS, random_state=RANDOM_STATE, n_init=STARTS).fit_predict(reduced)
    found, count = np.unique(label_N, return_counts=True)
    return np.asarray(label_N == found[count.argmin()])
