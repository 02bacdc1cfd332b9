"""Images worth showing, with what is known of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .examples import ExampleGallery
from .figures import Examples
from .measure import ContextMeasure, Section
from .proportions import in_proportion, sizes_of

if TYPE_CHECKING:
    import pandas as pd

    from datamodules.samples.batch import InspectionBatch

    from .examples import Example
    from .measure import Tested


class Gallery(ContextMeasure):
    """Keeps some images of each category: see ``ExampleGallery``."""

    def start(self, tested: Tested) -> None:
        """Keep as many as the config says."""
        super().start(tested)
        self._gallery = ExampleGallery(tested.settings.examples, on_good=tested.by_rules)

    def update(self, batch: InspectionBatch) -> None:
        """Keep what is worth showing."""
        self._gallery.update(batch, self.tested.calibration.image_thresholds(batch.kind))

    def result(self) -> Section:
        """Return the images, for the page and TensorBoard."""
        sizes = sizes_of(self.tested.samples)
        shown = tuple(in_proportion(one, sizes.get(one.name), self.tested.fit) for one in self._gallery.examples())
        return Section(figures=[Examples(with_defects(shown, self.tested.predictions))])


def with_defects(examples: tuple[Example, ...], predictions: pd.DataFrame) -> tuple[Example, ...]:
    """Add the type of defect, which batches do not carry."""
    if "defect" not in predictions:
        return examples
    defect_of = dict(zip(predictions["name"], predictions["defect"], strict=True))
    return tuple(replace(example, defect=defect_of[example.name]) for example in examples)
