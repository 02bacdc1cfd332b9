"""How well defects are marked, pixel by pixel: ranking, rates at the threshold, overlap of the masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callbacks.statistics.histogram import PixelHistogram
from callbacks.statistics.overlap import OverlapMeter
from callbacks.statistics.paired import VERDICT_LINE
from callbacks.statistics.pixels import pixel_intervals
from callbacks.statistics.threshold_table import threshold_table

from .images import RATES, REPORTED_AS
from .measure import ContextMeasure, Section, known_masks

if TYPE_CHECKING:
    from callbacks.statistics.bootstrap import Estimate
    from datamodules.samples.batch import InspectionBatch

    from .measure import Tested

THRESHOLDS = "pixel_sweep"
"""The table of pixel thresholds, thinned."""
MOST_ROWS = 1000


class Pixels(ContextMeasure):
    """Judges the maps, where defects are marked at all; rates are those of the masks as decided."""

    def start(self, tested: Tested) -> None:
        """Count on the model's device."""
        super().start(tested)
        self._maps = PixelHistogram(tested.device)
        self._decided = PixelHistogram(tested.device)
        self._overlap = OverlapMeter()

    def update(self, batch: InspectionBatch) -> None:
        """Count the pixels whose truth is known."""
        known_N, groups = known_masks(batch)
        self._maps.update(batch.anomaly_map[known_N], batch.gt_mask[known_N], groups)
        self._overlap.update(batch.pred_mask[known_N].cpu(), batch.gt_mask[known_N].cpu(), groups)
        if not self.tested.calibration.decides_plainly:
            self._decided.update(batch.pred_mask[known_N].float(), batch.gt_mask[known_N], groups)

    def result(self) -> Section:
        """Return pixel figures under ``test``, and pixel_sweep.csv; nothing where no defect is marked."""
        if not bool(self._maps.count[1].any()):
            return Section()
        named = {f"pixel_{REPORTED_AS[name]}": estimate for name, estimate in self._estimates().items()}
        return Section(
            metrics={"test": named | self._overlap.estimates(self.tested.resampling)},
            tables={THRESHOLDS: threshold_table(self._maps.counts(), MOST_ROWS)},
        )

    def _estimates(self) -> dict[str, Estimate]:
        """Rank by the maps, and rate what was decided."""
        calibration, resampling = self.tested.calibration, self.tested.resampling
        estimates = pixel_intervals(self._maps, float(calibration.pixel_threshold), resampling)
        if calibration.decides_plainly:
            return estimates
        decided = pixel_intervals(self._decided, VERDICT_LINE, resampling)
        return estimates | {name: decided[name] for name in RATES}
