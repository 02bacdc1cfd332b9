"""Groups of layers that look alike, found by clustering cheap features.

Layers of one machine fall into groups by their look (powder with few parts, many parts, a support grid, ...). Each
wants a threshold, or a model, of its own; nobody has labelled them.

Letters: N layers, F features.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

from .kinds import KindByAppearance
from .layer_features import SIDE, Floats

MOST_GROUPS = 8
CLEAR = 0.25  # silhouette from which groups are more than a cut through one cloud (Kaufman and Rousseeuw 1990, table 4)
_SAMPLE = 2000  # layers that the silhouette, which is quadratic, is measured on


class LayerGroups(NamedTuple):
    """Groups of layers.

    Attributes:
        group_N: (N,) the group of every layer, from 0.
        finder: Names the group of any other layer; None where there is one group alone.
    """

    group_N: npt.NDArray[np.intp]
    finder: KindByAppearance | None


def find_groups(feature_NF: Floats, fitted_N: npt.NDArray[np.bool_], count: int | None, seed: int) -> LayerGroups:
    """Cluster layers (k-means on up to 10 principal components); groups are numbered from 0, from dark to bright.

    Args:
        feature_NF: As ``layer_features`` made them.
        fitted_N: Which layers decide the groups; the others join the nearest. Defective ones must not decide, or the
            defect becomes a group.
        count: Number of groups; None: that of 2 to 8 with the largest mean silhouette (Rousseeuw 1987), or one where
            even that is below 0.25.
        seed: Decides what chance decides.
    """
    scaled = StandardScaler().fit(feature_NF[fitted_N])
    reduced = PCA(min(10, *feature_NF[fitted_N].shape), random_state=seed).fit(scaled.transform(feature_NF[fitted_N]))
    point_NC = reduced.transform(scaled.transform(feature_NF))
    known_MC = point_NC[fitted_N]
    if count is None:
        count = best_count(known_MC, seed)
    if count <= 1 or len(np.unique(known_MC, axis=0)) < count:
        return LayerGroups(np.zeros(len(feature_NF), dtype=np.intp), None)
    found = KMeans(count, n_init=10, random_state=seed).fit(known_MC)
    label_N = found.predict(point_NC)
    brightness = [
        feature_NF[label_N == label, SIDE * SIDE].mean() if (label_N == label).any() else 0.0 for label in range(count)
    ]
    rank_K = np.argsort(np.argsort(brightness))
    finder = KindByAppearance(
        offset_F=scaled.mean_ + reduced.mean_ * scaled.scale_,
        weight_CF=reduced.components_ / scaled.scale_,
        centre_KC=found.cluster_centers_,
        names=tuple(name_of_group(int(rank)) for rank in rank_K),
    )
    return LayerGroups(np.asarray(rank_K[label_N], dtype=np.intp), finder)


def name_of_group(group: int) -> str:
    """Name a group."""
    return f"layers_{group}"


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
