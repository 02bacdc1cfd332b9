"""How far an image's embedding lies from those of a training: a Gaussian whose smaller axes are pooled.

An embedding has hundreds of values, a calibration a few dozen images: their covariance has no inverse. Probabilistic
principal components (Tipping and Bishop, J. R. Stat. Soc. B 61, 1999) keep the axes along which the images vary most,
and one variance for all others. The distance is Mahalanobis's under that Gaussian, per value: near 1 for the images
that it was fitted to. Others lie further out, fresh ones of the same source, too, which is why what is usual is learned
from images by a cloud that was fitted without their group.

Letters: N images, D values of an embedding, K axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

AXES = 8  # at most: more than a few say more of the images at hand than of their source
IMAGES_PER_AXIS = 5
FEWEST = 5  # images that a cloud is fitted to
FITTED = 250  # images at most, evenly over all
FOLDS = 5
SMALLEST = 1e-12  # variance: embeddings that never vary are compared on a scale of their own
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cloud:
    """Where embeddings of usual images lie.

    Attributes:
        mean_D: Of all.
        axis_KD: Unit vectors along which they vary most.
        variance_K: Along these.
        rest: Variance along each of all other axes.
    """

    mean_D: Floats
    axis_KD: Floats
    variance_K: Floats
    rest: float

    @classmethod
    def fit(cls, embedding_ND: npt.NDArray[np.floating[Any]]) -> Cloud:
        """Fit to embeddings of usual images, of at most ``FITTED`` of them.

        Raises:
            ValueError: They are fewer than ``FEWEST``.
        """
        count, size = embedding_ND.shape
        if count < FEWEST:
            raise ValueError(f"Expected at least {FEWEST} embeddings, but found {count}.")
        fitted_ND = embedding_ND[_evenly(count, FITTED)].astype(np.float64)
        mean_D = fitted_ND.mean(axis=0)
        away_ND = fitted_ND - mean_D
        axes = min(AXES, len(fitted_ND) // IMAGES_PER_AXIS, size - 1)
        axis_KD, variance_K = _widest(away_ND, axes)
        total = float((away_ND**2).sum()) / (len(fitted_ND) - 1)
        rest = max((total - float(variance_K.sum())) / (size - axes), SMALLEST)
        return cls(mean_D, axis_KD, np.maximum(variance_K, rest), rest)

    def distances(self, embedding_ND: npt.NDArray[np.floating[Any]]) -> list[float]:
        """Say how far embeddings lie out; NaN where one is not finite."""
        away_ND = embedding_ND.astype(np.float64) - self.mean_D
        along_NK = away_ND @ self.axis_KD.T
        across_N = (away_ND**2).sum(axis=1) - (along_NK**2).sum(axis=1)
        square_N = (along_NK**2 / self.variance_K).sum(axis=1) + np.maximum(across_N, 0.0) / self.rest
        distances: list[float] = np.sqrt(square_N / len(self.mean_D)).tolist()
        return distances

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "mean": self.mean_D.tolist(),
            "axes": self.axis_KD.tolist(),
            "variances": self.variance_K.tolist(),
            "rest": self.rest,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Cloud:
        """Take what ``to_dict`` gave.

        Raises:
            ValueError: It is something else.
        """
        try:
            mean_D, variance_K = np.array(values["mean"], np.float64), np.array(values["variances"], np.float64)
            axis_KD = np.array(values["axes"], np.float64).reshape(len(variance_K), len(mean_D))
            found = cls(mean_D, axis_KD, variance_K, float(values["rest"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"Expected where embeddings lie as it was noted, but could not read it: {error!r}"
            ) from error
        if not (found.rest > 0 and (variance_K > 0).all() and np.isfinite(mean_D).all() and np.isfinite(axis_KD).all()):
            raise ValueError("Expected where embeddings lie in finite numbers, with positive variances.")
        return found


def left_out(embedding_ND: npt.NDArray[np.floating[Any]], group_N: npt.NDArray[np.int64]) -> list[float]:
    """Measure each embedding by a cloud that was fitted without its group, nor others of its fold.

    NaN where fewer than ``FEWEST`` are left to fit to.
    """
    groups, code_N = np.unique(group_N, return_inverse=True)
    fold_N = code_N % min(FOLDS, len(groups))
    found_N = np.full(len(embedding_ND), np.nan)
    for fold in np.unique(fold_N):
        out_N = fold_N == fold
        if (~out_N).sum() >= FEWEST:
            found_N[out_N] = Cloud.fit(embedding_ND[~out_N]).distances(embedding_ND[out_N])
    distances: list[float] = found_N.tolist()
    return distances


def _widest(away_ND: Floats, axes: int) -> tuple[Floats, Floats]:
    """Find the axes along which centred embeddings vary most, (K, D), and their variances.

    By the smaller one of both products: images are few where values are many.
    """
    count, size = away_ND.shape
    product = away_ND @ away_ND.T if count < size else away_ND.T @ away_ND
    square_R, vector_RR = np.linalg.eigh(product)
    square_K = np.maximum(square_R[::-1][:axes], 0.0)
    vector_RK = vector_RR[:, ::-1][:, :axes]
    axis_DK = away_ND.T @ vector_RK if count < size else vector_RK
    length_K = np.linalg.norm(axis_DK, axis=0)
    axis_KD: Floats = (axis_DK / np.where(length_K > 0, length_K, 1.0)).T
    return axis_KD, square_K / (count - 1)


def _evenly(count: int, most: int) -> npt.NDArray[np.intp]:
    return np.linspace(0, max(count - 1, 0), min(count, most)).round().astype(np.intp)
