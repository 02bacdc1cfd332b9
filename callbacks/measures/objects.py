"""Predicted and marked defects as objects: what was found, by size, type and zone, and where it lies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from callbacks.defects.findings import Findings, image_scales

from .figures import DefectFigures
from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    import pandas as pd

    from callbacks.defects.image_scale import ImageScale
    from datamodules.samples.batch import InspectionBatch

    from .measure import Tested

DEFECTS = "defects"
"""The table of predicted defects, also given as JSON."""
MARKED = "marked_defects"
"""The table of marked defects."""


class Objects(ContextMeasure):
    """Lists predicted defects, and compares them with marked ones."""

    def start(self, tested: Tested) -> None:
        """Go by the rules of the config."""
        super().start(tested)
        self._findings = Findings(tested.settings.defects, tested.settings.overlap)
        self._scales: dict[str, ImageScale] | None = None

    def update(self, batch: InspectionBatch) -> None:
        """Find the defects of a batch."""
        if self._scales is None:
            height, width = batch.image.shape[-2:]
            self._scales = image_scales(self.tested.samples, height, width, self.tested.fit)
        self._findings.update(batch, self.tested.calibration, self._scales, on_good=self.tested.by_rules)

    def result(self) -> Section:
        """``objects`` of metrics.json, defects.csv and .json, and marked_defects.csv where any are marked."""
        predictions = self.tested.predictions
        types = dict(zip(predictions["name"], predictions["defect"], strict=True)) if "defect" in predictions else {}
        found = self._findings.results(types, self.tested.resampling)
        return Section(
            metrics={"objects": found.metrics},
            tables={DEFECTS: found.defects} | ({} if found.marked.empty else {MARKED: found.marked}),
            figures=[DefectFigures(found.marked, found.heat_map)],
            files={f"{DEFECTS}.json": as_json(found.defects)},
        )


def as_json(defects: pd.DataFrame) -> str:
    """Write the rows of defects.csv as JSON."""
    rows = json.loads(defects.to_json(orient="records"))
    return json.dumps({"defects": rows}, indent=2, allow_nan=False) + "\n"
