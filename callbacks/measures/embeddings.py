"""What the model says of test images, as one vector each: for the maps of the page and TensorBoard's projector.

Letters: N images of a batch, D values of an embedding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from .atlas import AtlasMaker
from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    from lightning import LightningModule
    from torch import Tensor

    from datamodules.samples.batch import InspectionBatch

    from .measure import Tested


@runtime_checkable
class HasEmbedding(Protocol):
    """A model that may describe images (B, 3, H, W) by one vector each (B, D)."""

    def embedding(self, image_B3HW: Tensor) -> Tensor | None:
        """Describe images; None where the method has no natural vector."""


class Embeddings(ContextMeasure):
    """Keeps thumbnails and embeddings of a draw of the test images: the atlas."""

    stage: ClassVar[str] = "embedding"

    def start(self, tested: Tested) -> None:
        """Keep as many as the config says."""
        super().start(tested)
        self._maker = AtlasMaker(tested.settings.atlas)

    def update(self, batch: InspectionBatch) -> None:
        """Describe the images that may be kept."""
        wanted = self._maker.wanted(batch.name)
        self._maker.update(batch, wanted, embed(self.tested.module, batch, wanted))

    def result(self) -> Section:
        """Return the atlas, where anything was kept."""
        atlas = self._maker.atlas()
        return Section() if atlas is None else Section(figures=[atlas])


def embed(module: LightningModule, batch: InspectionBatch, wanted: Sequence[int]) -> npt.NDArray[np.float32] | None:
    """Describe the wanted images of a batch by one vector each (N, D), where the model can."""
    if not isinstance(module, HasEmbedding) or not wanted:
        return None
    embedding_ND = module.embedding(batch.image[list(wanted)])
    return None if embedding_ND is None else embedding_ND.float().flatten(1).cpu().numpy()
