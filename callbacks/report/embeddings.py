"""Maps of a data set: embeddings laid out in the plane, so that neighbours on the page are neighbours to the model.

Letters: N images, D values of an embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

FEWEST = 5  # images of a map
_PRINCIPAL = 50  # components that t-SNE starts from, as its authors do
_PERPLEXITY = 30.0
ITERATIONS = 1000  # of t-SNE, the first quarter of them with clusters held apart


@dataclass(frozen=True)
class EmbeddingMap:
    """Images laid out in the plane.

    Attributes:
        name: Of the method.
        note: What near and far mean on it.
        place_N2: (N, 2) float64, no unit.
    """

    name: str
    note: str
    place_N2: npt.NDArray[np.float64]


def embedding_maps(
    embedding_ND: npt.NDArray[np.float32] | None, seed: int = 0, iterations: int = ITERATIONS
) -> tuple[EmbeddingMap, ...]:
    """Lay out embeddings by PCA and by t-SNE; the same embeddings and seed give the same maps.

    Values that are not finite, and embeddings that do not vary, have no map; nor have fewer than `FEWEST` images.

    Sources: Hotelling, Journal of Educational Psychology 24, 1933; van der Maaten and Hinton, JMLR 9, 2008.
    """
    if embedding_ND is None or len(embedding_ND) < FEWEST or not np.isfinite(embedding_ND).all():
        return ()
    if float(np.ptp(embedding_ND, axis=0).max(initial=0.0)) == 0:
        return ()
    count = min(_PRINCIPAL, *embedding_ND.shape)
    pca = PCA(count, random_state=seed)
    principal = pca.fit_transform(embedding_ND.astype(np.float64))
    plane = np.pad(principal, ((0, 0), (0, max(0, 2 - count))))[:, :2]
    share = float(pca.explained_variance_ratio_[:2].sum())
    pca_note = f"Distances are true as far as two directions show them: they hold {100 * share:.0f} % of all variance."
    perplexity = min(_PERPLEXITY, (len(embedding_ND) - 1) / 3)
    start = 1e-4 * plane / max(float(plane[:, 0].std()), 1e-12)  # as scikit-learn's own start by PCA, for any D
    method = TSNE(2, perplexity=perplexity, init=start.astype(np.float32), random_state=seed, max_iter=iterations)
    with threadpool_limits(1, user_api="openmp"):  # threads that wait for each other a thousand times, on busy cores
        place = np.asarray(method.fit_transform(principal), dtype=np.float64)
    tsne_note = "Neighbours are true; distances between clusters, and their sizes, mean nothing."
    return EmbeddingMap("PCA", pca_note, plane), EmbeddingMap("t-SNE", tsne_note, place)
