"""How well instances were detected, by COCO's metrics, whatever the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .coco import KINDS, STATISTICS, Instances, detections_of, instance_estimates
from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    from datamodules.samples.batch import InspectionBatch

    from .measure import Tested


class DetectedInstances(ContextMeasure):
    """Judges what was detected on test images whose instances are known."""

    def start(self, tested: Tested) -> None:
        """Start a test, with nothing counted."""
        super().start(tested)
        self._instances = Instances()

    def update(self, batch: InspectionBatch) -> None:
        """Count the instances of a batch."""
        if batch.target is not None:
            self._instances.update(batch, detections_of(batch))

    def result(self) -> Section:
        """``instances``: ``box`` and ``mask``, each with ``ap``, ``ap50`` and so on; nothing where none is known."""
        estimates = instance_estimates(self._instances, self.tested.resampling)
        if not estimates:
            return Section()
        found = {name: {key: estimates[f"{name}_{key}"] for key in STATISTICS} for name in KINDS.values()}
        return Section(metrics={"instances": found})
