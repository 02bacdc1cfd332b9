"""The same image twice: copies of a file, and images saved, resized or taken again.

Images of one kind of part resemble each other whatever happens to them, so that a fixed similarity says nothing:
thirty-two rows of grey values of two different screws agree to 0.99. What counts is agreement in that in which the
images of *this* set differ. So the directions in which the set varies most weigh least (whitening), and two images
are near-duplicates where they still agree.

Letters: N images, S side of their small copies, D = S * S, K leading directions, P pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = npt.NDArray[np.float32]

NEAR = 0.9
"""Similarity from which on two images count as near-duplicates."""
SAVED_AGAIN = 0.98
"""Similarity from which on a pair is the same shot in all likelihood; below, two very regular parts may look alike."""
MOST_PER_IMAGE = 16
"""Near-duplicates kept of one image, the most similar ones: a set of nothing else must not fill the memory."""

_LEADING = 128
_FLOOR = 0.1  # of the mean variance of the leading directions, below which a difference counts as noise
_MIN_CONTRAST = 1.0  # grey values of standard deviation: below, an image is flat, and what is left is noise


@dataclass(frozen=True)
class Pairs:
    """Pairs of images.

    Attributes:
        first: (P,) row of one image.
        second: (P,) row of the other, above ``first``.
        similarity: (P,) in [-1, 1].
    """

    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    similarity: Floats

    def where(self, keep: npt.NDArray[np.bool_]) -> Pairs:
        """Return only the marked pairs."""
        return Pairs(self.first[keep], self.second[keep], self.similarity[keep])

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.first)


def exact_copies(sha256_N: Sequence[str]) -> list[list[int]]:
    """Return the rows of every file content that occurs more than once, in the order of their first row."""
    rows: dict[str, list[int]] = {}
    for row, digest in enumerate(sha256_N):
        rows.setdefault(digest, []).append(row)
    return [same for same in rows.values() if len(same) > 1]


def standardise(small_NSS: Floats) -> Floats:
    """Free small grey copies (N, S, S) of brightness and contrast: (N, D) of mean 0 and variance 1, or 0 where flat."""
    flat_ND = small_NSS.reshape(len(small_NSS), -1)
    centred_ND = flat_ND - flat_ND.mean(axis=1, keepdims=True)
    deviation_N1 = centred_ND.std(axis=1, keepdims=True)
    return np.where(deviation_N1 < _MIN_CONTRAST, 0, centred_ND / np.maximum(deviation_N1, _MIN_CONTRAST)).astype(
        np.float32
    )


def describe(small_NSS: Floats) -> Floats:
    """Describe every image by that in which it differs from the others.

    The K = min(128, N / 2) directions of most variance are scaled to equal variance, with a floor of a tenth of their
    mean that keeps noise from being blown up; all others are scaled like the floor.

    Args:
        small_NSS: Small grey copies in [0, 255].

    Returns:
        (N, D) of length 1, or 0 for flat images; the product of two rows is their similarity.
    """
    if len(small_NSS) == 0:
        return np.zeros((0, 0), np.float32)
    standard_ND = standardise(small_NSS)
    difference_ND = standard_ND - standard_ND.mean(axis=0)
    difference_ND[~standard_ND.any(axis=1)] = 0
    variance_K, direction_KD = leading_directions(difference_ND, max(1, min(_LEADING, len(difference_ND) // 2)))
    total = float(np.square(difference_ND).sum()) / len(difference_ND)
    floor = max(_FLOOR * total / len(variance_K), float(np.finfo(np.float32).tiny))
    # Everything is measured in units of the floor: only along the leading directions is anything shrunk.
    shrink_K = np.sqrt(floor / (variance_K + floor)) - 1
    described_ND = difference_ND + ((difference_ND @ direction_KD.T) * shrink_K) @ direction_KD
    length_N1 = np.linalg.norm(described_ND, axis=1, keepdims=True)
    return np.where(length_N1 > 1e-6, described_ND / np.maximum(length_N1, 1e-6), 0).astype(np.float32)


def leading_directions(difference_ND: Floats, count: int) -> tuple[Floats, Floats]:
    """Find the directions in which rows of mean zero vary most.

    Returns:
        Variance along each (K,), and the directions (K, D) of length 1, or 0 where nothing varies any more.
    """
    images, numbers = difference_ND.shape
    if images <= numbers:  # the smaller of the two products has the same leading values
        value, vector = np.linalg.eigh(difference_ND @ difference_ND.T / images)
        direction_KD = vector[:, -count:].T @ difference_ND
        length_K1 = np.linalg.norm(direction_KD, axis=1, keepdims=True)
        direction_KD = np.where(length_K1 > 1e-3, direction_KD / np.maximum(length_K1, 1e-3), 0)
    else:
        value, vector = np.linalg.eigh(difference_ND.T @ difference_ND / images)
        direction_KD = vector[:, -count:].T
    return value[-count:].clip(0).astype(np.float32), direction_KD.astype(np.float32)


def near_pairs(described_ND: Floats, threshold: float = NEAR, rows: int = 512) -> Pairs:
    """Find the pairs of images that agree.

    Args:
        described_ND: As ``describe`` gives it.
        threshold: Least similarity.
        rows: Images compared with all others at a time, to bound the memory.

    Returns:
        Pairs, the most similar first; of each image, at most ``MOST_PER_IMAGE`` with later ones.
    """
    found: list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]] = []
    for start in range(0, len(described_ND), rows):
        # Rows are compared with themselves and what follows; below the diagonal, pairs are known already.
        similarity = described_ND[start : start + rows] @ described_ND[start:].T
        similarity[np.tril_indices(len(similarity))] = -np.inf
        if (most := similarity.shape[1] - MOST_PER_IMAGE) > 0:
            similarity[similarity < np.partition(similarity, most, axis=1)[:, [most]]] = -np.inf
        first, second = np.nonzero(similarity >= threshold)
        found.append((first + start, second + start, similarity[first, second]))
    if not found:
        return Pairs(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0, np.float32))
    first, second, value = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((second, first, -value))
    return Pairs(first[order], second[order], value[order])
