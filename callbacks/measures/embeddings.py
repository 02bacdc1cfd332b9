"""What the model says of test images, as one vector each: for the maps of the page and TensorBoard's projector.

Letters: N images of a batch, D values of an embedding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from callbacks.decisions.described import describe

from .atlas import AtlasMaker
from .measure import ContextMeasure, Section
from .proportions import sizes_of, thumbnails_in_proportion

if TYPE_CHECKING:
    from datamodules.samples.batch import InspectionBatch

    from .measure import Tested


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
        described_ND = describe(self.tested.module, batch.image) if wanted else None  # the very tensor that was judged
        self._maker.update(batch, wanted, None if described_ND is None else described_ND[wanted])

    def result(self) -> Section:
        """Return the atlas, where anything was kept."""
        atlas = self._maker.atlas()
        if atlas is None:
            return Section()
        about = (atlas.names, sizes_of(self.tested.samples), self.tested.fit)
        return Section(figures=[replace(atlas, thumbnail_AhwC=thumbnails_in_proportion(atlas.thumbnail_AhwC, *about))])
