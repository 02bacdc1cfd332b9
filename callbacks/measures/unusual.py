"""Test images unlike those of the training: a model may be wrong about them, however sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callbacks.decisions.familiarity import examine_test, map_medians

from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    from datamodules.samples.batch import InspectionBatch

    from .measure import Tested


class Unusual(ContextMeasure):
    """Compares test images with what the model noted of those of its training; adds the column ``unusual``."""

    def start(self, tested: Tested) -> None:
        """Start with no image."""
        super().start(tested)
        self._median_of: dict[str, float] = {}

    def update(self, batch: InspectionBatch) -> None:
        """Note the level of each map."""
        self._median_of |= dict(zip(batch.name, map_medians(batch.anomaly_map), strict=True))

    def result(self) -> Section:
        """``unusual`` of metrics.json where the model noted anything, and what to say of it."""
        tested = self.tested
        found = examine_test(tested.calibration.usual, tested.predictions, tested.samples, self._median_of)
        metrics = {"unusual": found.metrics} if found.metrics else {}
        return Section(metrics, columns={"unusual": found.reasons}, notes=found.notes)
