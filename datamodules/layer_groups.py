"""Groups of layers that look alike, found by clustering cheap features.

Layers of one machine fall into groups by their look (powder with few parts, many parts, a support grid, ...). Each
wants a threshold, or a model, of its own; nobody has labelled them.

Letters: N layers, F features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

from .files.images import resize, scale
from .views import grey

if TYPE_CHECKING:
    from .files.images import Array

Floats = npt.NDArray[np.float64]

SIDE = 16
MOST_GROUPS = 8
CLEAR = 0.25  # silhouette from which groups are more than a cut through one cloud (Kaufman and Rousseeuw 1990, table 4)
_SAMPLE = 2000  # layers that the silhouette, which is quadratic, is measured on


def layer_features(picture: Array, white_level: float | None = None) -> Floats:
    """Return the look of a layer, (F,): a copy of 16 x 16 grey values, their mean and spread, and how rough it is."""
    values = scale(grey(picture), white_level).astype(np.float32)
    values = values / np.float32(255) if picture.dtype == np.uint8 and white_level in (None, 255) else values
    small = resize(values, 4 * SIDE, 4 * SIDE)
    rough = float(np.abs(cv2.Laplacian(small, cv2.CV_32F)).mean())
    tiny = resize(small, SIDE, SIDE)
    return np.concatenate([tiny.ravel(), [tiny.mean(), tiny.std(), rough]]).astype(np.float64)


def group_layers(
    feature_NF: Floats, fitted_N: npt.NDArray[np.bool_], count: int | None, seed: int
) -> npt.NDArray[np.intp]:
    """Cluster layers (k-means on up to 10 principal components); groups are numbered from 0, from dark to bright.

    Args:
        feature_NF: As ``layer_features`` made them.
        fitted_N: Which layers decide the groups; the others join the nearest. Defective ones must not decide, or the
            defect becomes a group.
        count: Number of groups; None: that of 2 to 8 with the largest mean silhouette (Rousseeuw 1987), or one where
            even that is below 0.25.
        seed: Decides what chance decides.

    Returns:
        (N,) the group of every layer.
    """
    scaled = StandardScaler().fit(feature_NF[fitted_N])
    reduced = PCA(min(10, *feature_NF[fitted_N].shape), random_state=seed).fit(scaled.transform(feature_NF[fitted_N]))
    point_NC = reduced.transform(scaled.transform(feature_NF))
    known_MC = point_NC[fitted_N]
    if count is None:
        count = best_count(known_MC, seed)
    if count <= 1 or len(np.unique(known_MC, axis=0)) < count:
        return np.zeros(len(feature_NF), dtype=np.intp)
    label_N = KMeans(count, n_init=10, random_state=seed).fit(known_MC).predict(point_NC)
    brightness = [
        feature_NF[label_N == label, SIDE * SIDE].mean() if (label_N == label).any() else 0.0 for label in range(count)
    ]
    rank = np.argsort(np.argsort(brightness))
    return np.asarray(rank[label_N], dtype=np.intp)


def best_count(point_MC: Floats, seed: int) -> int:
    """Return the number of clusters, 1 to 8, with the largest mean silhouette."""
    scores = {1: CLEAR}
    distinct = len(np.unique(point_MC, axis=0))
    for count in range(2, min(MOST_GROUPS, distinct - 1) + 1):
        label_M = KMeans(count, n_init=10, random_state=seed).fit_predict(point_MC)
        sample = min(_SAMPLE, len(point_MC))
        try:
            scores[count] = silhouette_score(point_MC, label_M, sample_size=sample, random_state=seed)
        except ValueError:  # the sample missed all but one cluster
            continue
    return max(scores, key=lambda count: scores[count])
