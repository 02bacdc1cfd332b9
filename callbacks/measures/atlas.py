"""The atlas of a test: a small image of each test image, and where the model places it, in bounded memory.

Letters: N images of a batch, A of the atlas, D values of an embedding, H and W pixels, h and w of a thumbnail.
"""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.files.images import resize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datamodules.samples.batch import InspectionBatch

EDGE = 96  # longest edge of a thumbnail, in pixels


@dataclass(frozen=True)
class Atlas:
    """A fair draw of the test images, sorted by name.

    Attributes:
        names: A stable names.
        thumbnail_AhwC: (A, h, w, 3) uint8; squashed to the size of the first, where images have several.
        embedding_AD: (A, D) float32; None where the model has none.
    """

    names: tuple[str, ...]
    thumbnail_AhwC: npt.NDArray[np.uint8]
    embedding_AD: npt.NDArray[np.float32] | None = None


class _Entry(NamedTuple):
    rank: float
    name: str
    thumbnail: npt.NDArray[np.uint8]
    embedding: npt.NDArray[np.float32] | None


class AtlasMaker:
    """Draws at most ``size`` images while batches pass by, by a hash of their names.

    The draw neither depends on the order of the images nor on how they are batched.

    Args:
        size: How many to keep; 0 keeps none.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._entries: list[_Entry] = []

    def wanted(self, names: Sequence[str]) -> list[int]:
        """Tell which images of a batch may be kept: only they need an embedding."""
        if self.size == 0:
            return []
        worst = self._entries[0].rank if len(self._entries) == self.size else -1.0
        return [index for index, name in enumerate(names) if name_rank(name) > worst]

    def update(
        self, batch: InspectionBatch, wanted: Sequence[int], embedding_ND: npt.NDArray[np.float32] | None
    ) -> None:
        """See a batch.

        Args:
            batch: Of test images.
            wanted: See `wanted`.
            embedding_ND: Of the wanted ones, in their order; None without.
        """
        for row, index in enumerate(wanted):
            name = batch.name[index]
            image = batch.image[index].permute(1, 2, 0).mul(255).round().byte().cpu().numpy()
            embedding = None if embedding_ND is None else embedding_ND[row]
            heapq.heappush(self._entries, _Entry(name_rank(name), name, thumbnail(image), embedding))
            if len(self._entries) > self.size:
                heapq.heappop(self._entries)

    def atlas(self) -> Atlas | None:
        """Return what was kept; None where nothing was."""
        if not self._entries:
            return None
        entries = sorted(self._entries, key=lambda entry: entry.name)
        embeddings = [entry.embedding for entry in entries if entry.embedding is not None]
        height, width = entries[0].thumbnail.shape[:2]
        return Atlas(
            tuple(entry.name for entry in entries),
            np.stack([resize(entry.thumbnail, height, width) for entry in entries]),
            np.stack(embeddings) if len(embeddings) == len(entries) else None,
        )


def thumbnail(image_HW3: npt.NDArray[np.uint8], edge: int = EDGE) -> npt.NDArray[np.uint8]:
    """Shrink an image to the longest edge in pixels; a smaller one stays as it is."""
    height, width = image_HW3.shape[:2]
    if (scale := edge / max(height, width)) >= 1:
        return np.ascontiguousarray(image_HW3)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def name_rank(name: str) -> float:
    """Rank an image by a hash of its name, in [0, 1): a draw that favours none."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
