"""Test images unlike those of the training: a model may be wrong about them, however sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from callbacks.decisions.described import describe
from callbacks.decisions.familiarity import examine_test, map_medians

from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    from datamodules.samples.batch import InspectionBatch

    from .measure import Tested


class Unusual(ContextMeasure):
    """Compares test images with what the model noted of those of its training; adds the column ``unusual``."""

    stage: ClassVar[str] = "embedding"

    def start(self, tested: Tested) -> None:
        """Start a test, with nothing counted."""
        super().start(tested)
        self._median_of: dict[str, float] = {}
        self._distance_of: dict[str, float] = {}

    def update(self, batch: InspectionBatch) -> None:
        """Note the level of each map, and how far out each embedding lies."""
        self._median_of |= dict(zip(batch.name, map_medians(batch.anomaly_map, batch.inside), strict=True))
        cloud = self.tested.calibration.cloud
        described_ND = None if cloud is None else describe(self.tested.module, batch.image)
        if cloud is not None and described_ND is not None:
            self._distance_of |= dict(zip(batch.name, cloud.distances(described_ND), strict=True))

    def result(self) -> Section:
        """``unusual`` of metrics.json where the model noted anything, and what to say of it."""
        tested = self.tested
        known = (self._median_of, self._distance_of)
        found = examine_test(tested.calibration.usual, tested.predictions, tested.samples, *known)
        metrics = {"unusual": found.metrics} if found.metrics else {}
        return Section(metrics, columns={"unusual": found.reasons}, notes=found.notes)
